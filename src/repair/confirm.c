#include "repair/confirm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "netmend/net.h"

nm_status nm_check_regular(const char *path, nm_err *err)
{
    struct stat info;

    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return nm_fail(err, NM_E_IO, "%s: not a regular file, expected one that can be read back",
                       path);
    return NM_OK;
}

static nm_status check_path(const char *path, char **out, nm_err *err)
{
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    const char *ending = dot && (!slash || dot > slash) ? dot : "";
    size_t room = strlen(path) + strlen(ending) + 32;
    nm_status rc = nm_alloc(out, room, 1, err);

    if (rc == NM_OK)
        (void)snprintf(*out, room, "%s.%ld.check%s", path, (long)getpid(), ending);
    return rc;
}

nm_status nm_write_confirmed(nm_ctx *ctx, const nm_net *net, const char *path, nm_confirm *confirm,
                             void *user, nm_net **read_back, nm_err *err)
{
    nm_status rc = NM_OK;
    char *temp = NULL;

    *read_back = NULL;
    NM_TRY(nm_check_regular(path, err));
    NM_TRY(check_path(path, &temp, err));
    NM_TRY(nm_net_save(ctx, net, temp, err));
    rc = nm_net_load(ctx, temp, read_back, err);
    if (rc == NM_OK)
        rc = confirm(user, *read_back, err);
    if (rc == NM_OK && rename(temp, path) != 0)
        rc = nm_fail(err, NM_E_IO, "%s: cannot write: %s", path, strerror(errno));
    if (rc != NM_OK)
        (void)unlink(temp);
done:
    if (rc != NM_OK) {
        nm_net_free(*read_back);
        *read_back = NULL;
    }
    nm_free(temp);
    return rc;
}
