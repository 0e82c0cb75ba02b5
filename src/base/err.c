#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#undef nm_fail /* the analyzer's view of it, see the header */

/* Text from files ends up in messages: what a terminal could act on is shown as '?'. */
static void make_printable(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c; c++)
        if (*c < 0x20 || *c == 0x7f)
            *c = '?';
}

nm_status nm_fail(nm_err *err, nm_status code, const char *fmt, ...)
{
    va_list args;

    if (!err || err->code != NM_OK)
        return code;
    err->code = code;
    va_start(args, fmt);
    (void)vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    make_printable(err->text);
    return code;
}

void nm_err_prefix(nm_err *err, const char *fmt, ...)
{
    char old[NM_ERR_TEXT];
    va_list args;
    int n;

    if (!err || err->code == NM_OK)
        return;
    memcpy(old, err->text, sizeof old);
    va_start(args, fmt);
    n = vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof err->text)
        (void)snprintf(err->text + n, sizeof err->text - (size_t)n, "%s", old);
    make_printable(err->text);
}

const char *nm_status_name(nm_status status)
{
    static const char *const names[] = {"ok", "argument", "format",    "shape", "unsupported",
                                        "io", "memory",   "cancelled", "limit", "internal"};

    return (size_t)status < sizeof names / sizeof *names ? names[status] : "unknown";
}
