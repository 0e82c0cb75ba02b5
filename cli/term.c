#include "term.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const double seconds_between_updates = 0.1;

double nm_term_now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool is_dumb(void)
{
    const char *kind = getenv("TERM");

    return !kind || !*kind || strcmp(kind, "dumb") == 0;
}

void nm_term_start(nm_term *term)
{
    term->live = !term->quiet && !is_dumb() && isatty(STDERR_FILENO);
    term->last_update = nm_term_now();
}

bool nm_term_colored(const nm_term *term, FILE *stream)
{
    const char *refused = getenv("NO_COLOR");

    if (term->color != NM_COLOR_AUTO)
        return term->color == NM_COLOR_ALWAYS;
    return !(refused && *refused) && !is_dumb() && isatty(fileno(stream));
}

void nm_term_clear(nm_term *term)
{
    if (!term->line_on)
        return;
    (void)fputs("\r\033[K", stderr);
    (void)fflush(stderr);
    term->line_on = false;
}

static void print_message(nm_term *term, const char *kind, const char *text)
{
    bool color = nm_term_colored(term, stderr);

    nm_term_clear(term);
    (void)fprintf(stderr, "%snetmend%s%s:%s %s", color ? "\033[1m" : "", term->verb ? " " : "",
                  term->verb ? term->verb : "", color ? "\033[0m" : "", kind);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        (void)fputc(*c < 0x20 || *c == 0x7f ? '?' : *c, stderr);
    (void)fputc('\n', stderr);
}

void nm_term_error(nm_term *term, const char *text)
{
    print_message(term, "", text);
}

void nm_term_log(void *user, nm_log_level level, const char *line)
{
    nm_term *term = user;

    if (level == NM_LOG_WARNING && !term->quiet)
        print_message(term, "warning: ", line);
    else if (level != NM_LOG_WARNING && term->verbose)
        print_message(term, "", line);
}

void nm_term_progress(void *user, const char *what, int64_t done, int64_t total, double value)
{
    nm_term *term = user;
    char line[80];
    size_t used;
    double now;

    if (!term->live)
        return;
    now = nm_term_now();
    if (now - term->last_update < seconds_between_updates)
        return;
    term->last_update = now;
    used = (size_t)snprintf(line, sizeof line, "%.40s: %" PRId64, what, done);
    if (total > 0 && used < sizeof line)
        used += (size_t)snprintf(line + used, sizeof line - used, "/%" PRId64, total);
    if (isfinite(value) && used < sizeof line)
        (void)snprintf(line + used, sizeof line - used, " (%.6g)", value);
    (void)fprintf(stderr, "\r%s\033[K", line);
    (void)fflush(stderr);
    term->line_on = true;
}
