/* The curve for people. */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "netmend/curve.h"
#include "report/text.h"

enum { HEAD_ROOM = 512, ROW_ROOM = 192 };

/* A column that may have nothing to say. */
static void say_number(nm_text *t, const char *fmt, double v)
{
    char cell[32] = "-";

    if (isfinite(v))
        (void)snprintf(cell, sizeof cell, fmt, v);
    nm_say(t, " %11s", cell);
}

static void say_head(nm_text *t, const nm_curve *curve)
{
    nm_say(
        t,
        "\nmargin and damping: %lld points repaired anew each time, divergence on %lld reference "
        "points\n  %9s %9s %11s %7s",
        (long long)curve->n_repair, (long long)curve->n_reference, "margin", "damping", "objective",
        "right");
    if (curve->has_keep)
        nm_say(t, " %9s", "keep lost");
    nm_say(t, " %11s %6s", "divergence", "lost");
    if (curve->has_test)
        nm_say(t, " %11s", "drawdown");
    if (curve->has_similar)
        nm_say(t, " %11s", "similar");
    nm_say(t, " %8s\n", "seconds");
}

static void say_point(nm_text *t, const nm_curve *curve, const nm_curve_point *p)
{
    char damping[16] = "-";

    if (!isnan(p->damping_factor))
        (void)snprintf(damping, sizeof damping, "x %g", p->damping_factor);
    nm_say(t, "  %9.4g %9s", p->margin, damping);
    if (p->outcome != NM_REPAIRED) {
        nm_say(t, " %s after %.2f s\n", nm_outcome_name(p->outcome), p->seconds);
        return;
    }
    say_number(t, "%.4g", p->objective);
    nm_say(t, " %7lld", (long long)p->right);
    if (curve->has_keep)
        nm_say(t, " %9lld", (long long)p->keep_lost);
    say_number(t, "%.2e", p->divergence);
    nm_say(t, " %6lld", (long long)p->reference_lost);
    if (curve->has_test)
        say_number(t, "%+.2f", p->drawdown_points);
    if (curve->has_similar)
        say_number(t, "%+.2f", p->similar_points);
    nm_say(t, " %8.2f\n", p->seconds);
}

char *nm_curve_text(const nm_curve *curve)
{
    nm_text t = {.room = HEAD_ROOM + ROW_ROOM * (size_t)(curve->n + 1)};

    if (nm_alloc(&t.at, t.room, 1, NULL) != NM_OK)
        return NULL;
    say_head(&t, curve);
    for (int i = 0; i < curve->n; i++)
        say_point(&t, curve, &curve->points[i]);
    return t.at;
}
