#include "fail.h"

#include <stdarg.h>
#include <stdio.h>

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
