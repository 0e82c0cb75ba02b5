#include "fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#undef nm_cli_fail /* the analyzer's view of it, see the header */

nm_status nm_cli_fail(nm_err *err, nm_status code, const char *fmt, ...)
{
    va_list args;

    if (err->code != NM_OK)
        return code;
    err->code = code;
    va_start(args, fmt);
    (void)vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    return code;
}

void nm_cli_prefix(nm_err *err, const char *file)
{
    char old[NM_ERR_TEXT];

    if (err->code == NM_OK)
        return;
    memcpy(old, err->text, sizeof old);
    if (snprintf(err->text, sizeof err->text, "%s: %s", file, old) < 0)
        memcpy(err->text, old, sizeof old);
}

nm_status nm_cli_alloc(void *out, int64_t n, size_t size, nm_err *err)
{
    void *room = calloc(n > 0 ? (size_t)n : 1, size);

    memcpy(out, &room, sizeof room);
    return room ? NM_OK : nm_cli_fail(err, NM_E_NOMEM, "out of memory");
}
