/* The curve for people. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "netmend/curve.h"

enum { HEAD_ROOM = 512, ROW_ROOM = 192 };

struct text {
    char *at;
    size_t used, room;
};

static void NM_PRINTF(2, 3) say(struct text *t, const char *fmt, ...)
{
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(t->at + t->used, t->room - t->used, fmt, args);
    va_end(args);
    if (n > 0)
        t->used = t->used + (size_t)n < t->room ? t->used + (size_t)n : t->room - 1;
}

/* A column that may have nothing to say. */
static void say_number(struct text *t, const char *fmt, double v)
{
    char cell[32] = "-";

    if (isfinite(v))
        (void)snprintf(cell, sizeof cell, fmt, v);
    say(t, " %11s", cell);
}

static void say_head(struct text *t, const nm_curve *curve)
{
    say(t,
        "\nmargin and damping: %lld points repaired anew each time, divergence on %lld reference "
        "points\n  %9s %9s %11s %7s",
        (long long)curve->n_repair, (long long)curve->n_reference, "margin", "damping", "objective",
        "right");
    if (curve->has_keep)
        say(t, " %9s", "keep lost");
    say(t, " %11s %6s", "divergence", "lost");
    if (curve->has_test)
        say(t, " %11s", "drawdown");
    if (curve->has_similar)
        say(t, " %11s", "similar");
    say(t, " %8s\n", "seconds");
}

static void say_point(struct text *t, const nm_curve *curve, const nm_curve_point *p)
{
    char damping[16] = "-";

    if (!isnan(p->damping_factor))
        (void)snprintf(damping, sizeof damping, "x %g", p->damping_factor);
    say(t, "  %9.4g %9s", p->margin, damping);
    if (p->outcome != NM_REPAIRED) {
        say(t, " %s after %.2f s\n", nm_outcome_name(p->outcome), p->seconds);
        return;
    }
    say_number(t, "%.4g", p->objective);
    say(t, " %7lld", (long long)p->right);
    if (curve->has_keep)
        say(t, " %9lld", (long long)p->keep_lost);
    say_number(t, "%.2e", p->divergence);
    say(t, " %6lld", (long long)p->reference_lost);
    if (curve->has_test)
        say_number(t, "%+.2f", p->drawdown_points);
    if (curve->has_similar)
        say_number(t, "%+.2f", p->similar_points);
    say(t, " %8.2f\n", p->seconds);
}

char *nm_curve_text(const nm_curve *curve)
{
    struct text t = {.room = HEAD_ROOM + ROW_ROOM * (size_t)(curve->n + 1)};

    if (nm_alloc(&t.at, t.room, 1, NULL) != NM_OK)
        return NULL;
    say_head(&t, curve);
    for (int i = 0; i < curve->n; i++)
        say_point(&t, curve, &curve->points[i]);
    return t.at;
}
