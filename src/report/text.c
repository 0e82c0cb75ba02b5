#include "report/text.h"

#include <stdarg.h>
#include <stdio.h>

void nm_say(nm_text *t, const char *fmt, ...)
{
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(t->at + t->used, t->room - t->used, fmt, args);
    va_end(args);
    if (n > 0)
        t->used = t->used + (size_t)n < t->room ? t->used + (size_t)n : t->room - 1;
}
