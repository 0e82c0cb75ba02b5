#include "base/ctx.h"
#include "io/vnnlib.h"

/* Inflated. VNN-COMP's largest are some 20 MB. */
#define MOST_BYTES ((size_t)1 << 30)

nm_status nm_property_load(nm_ctx *ctx, const char *path, nm_property **out, nm_err *err)
{
    nm_buffer file = {0};
    nm_status rc = NM_OK;

    *out = NULL;
    NM_TRY(nm_ctx_check(ctx, err));
    NM_TRY(nm_file_read_gz(path, MOST_BYTES, &file, err));
    rc = nm_vnnlib_read(&file, out, err);
    if (rc != NM_OK)
        nm_err_prefix(err, rc == NM_E_NOMEM ? "%s: " : "%s:", path);
done:
    nm_buffer_free(&file);
    return rc;
}
