#include "places.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

nm_status nm_cli_can_write(const char *path, nm_err *err)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    size_t length = slash ? (size_t)(slash - path) + 1 : 0;
    struct stat info;
    char *folder;
    nm_status rc;

    if (!path)
        return NM_OK;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return nm_cli_fail(err, NM_E_IO, "%s: cannot write: %s", path, strerror(EISDIR));
    rc = nm_cli_alloc(&folder, (int64_t)length + 2, 1, err);
    if (rc != NM_OK)
        return rc;
    memcpy(folder, slash ? path : ".", slash ? length : 1);
    if (access(folder, W_OK | X_OK) != 0)
        rc = nm_cli_fail(err, NM_E_IO, "%s: cannot write: %s", path, strerror(errno));
    free(folder);
    return rc;
}
