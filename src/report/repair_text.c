/* The repair report for people. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "netmend/repair.h"
#include "report/text.h"

enum { MAX_TEXT = 8192, MAX_LISTED = 20, MAX_OTHERS = 8 };

static void say_headline(nm_text *t, const nm_repair_report *r)
{
    nm_say(t, "%s", nm_outcome_name(r->outcome));
    if (r->outcome == NM_REPAIRED && r->n_changed == 0)
        nm_say(t, ": all %lld points were right and safe already, nothing was changed",
               (long long)r->repair.n);
    else if (r->outcome == NM_REPAIRED)
        nm_say(t, ": %lld of %lld points right (%lld before), %lld safe in any float32 order",
               (long long)r->repair.right_after, (long long)r->repair.n,
               (long long)r->repair.right_before, (long long)r->repair.safe_after);
    else if (r->outcome == NM_PARTLY)
        nm_say(t, ": %lld of %lld points repaired; %s", (long long)(r->repair.n - r->n_unrepaired),
               (long long)r->repair.n, r->reason);
    else if (r->reason[0])
        nm_say(t, ": %s", r->reason);
    if (r->outcome == NM_REPAIRED && r->stopped)
        nm_say(t, " (%s)", r->reason);
    nm_say(t, "\n");
}

static void say_indices(nm_text *t, const char *what, const int64_t *at, int64_t n)
{
    if (n == 0)
        return;
    nm_say(t, "  %s", what);
    for (int64_t i = 0; i < n && i < MAX_LISTED; i++)
        nm_say(t, "%s%lld", i ? ", " : " ", (long long)at[i]);
    nm_say(t, n > MAX_LISTED ? ", ... (%lld in all)\n" : "\n", (long long)n);
}

static void say_unrepaired(nm_text *t, const nm_repair_report *r)
{
    if (r->n_unrepaired == 0)
        return;
    if (r->n_conflicts > 0)
        nm_say(t, "  proven: at most %lld of the %lld points can have the margins asked for\n",
               (long long)r->repairable_at_most, (long long)r->repair.n);
    nm_say(t, "  left out, by index in the repair set:\n");
    for (int64_t i = 0; i < r->n_unrepaired && i < MAX_LISTED; i++) {
        const nm_unrepaired *u = &r->unrepaired[i];
        const nm_conflict_report *c = u->conflict >= 0 ? &r->conflicts[u->conflict] : NULL;

        nm_say(t, "  %8lld  %s", (long long)u->point, nm_unrepaired_text(r, i));
        for (int64_t k = 0, n = 0; c && k < c->n_points && n < MAX_OTHERS; k++)
            if (c->points[k] != u->point)
                nm_say(t, "%s%lld", n++ ? ", " : ": ", (long long)c->points[k]);
        if (c && c->n_points > MAX_OTHERS + 1)
            nm_say(t, ", ...");
        for (int64_t k = 0; c && k < c->n_keep && k < MAX_OTHERS; k++)
            nm_say(t, "%s%lld", k ? ", " : "; keep points ", (long long)c->keep[k]);
        nm_say(t, "\n");
    }
    if (r->n_unrepaired > MAX_LISTED)
        nm_say(t, "            ... (%lld in all)\n", (long long)r->n_unrepaired);
}

static void say_set(nm_text *t, const char *name, const nm_set_report *s, bool after)
{
    if (s->n == 0)
        return;
    nm_say(t, "  %-28s %8lld %12.2f %%", name, (long long)s->n,
           100 * (double)s->right_before / (double)s->n);
    if (after)
        nm_say(t, " %12.2f %% %+11.2f", 100 * (double)s->right_after / (double)s->n,
               100 * (double)(s->right_after - s->right_before) / (double)s->n);
    nm_say(t, "\n");
}

static void say_accuracy(nm_text *t, const char *name, const nm_accuracy_report *a, bool after)
{
    if (a->n == 0)
        return;
    nm_say(t, "  %-28s %8lld %12.2f %%", name, (long long)a->n, 100 * a->before);
    if (after)
        nm_say(t, " %12.2f %% %+11.2f", 100 * a->after, 100 * (a->after - a->before));
    nm_say(t, "\n");
}

static void say_table(nm_text *t, const nm_repair_report *r)
{
    bool after = r->outcome == NM_REPAIRED || r->outcome == NM_PARTLY;

    nm_say(t, "\n  %-28s %8s %14s", "right", "points", "before");
    nm_say(t, after ? " %14s %11s\n" : "\n", "after", "change");
    say_set(t, "repair set (efficacy)", &r->repair, after);
    say_set(t, "keep set", &r->keep, after);
    say_accuracy(t, "test set (drawdown)", &r->test, after);
    say_accuracy(t, "similar (generalization)", &r->similar, after);
}

/* What float32 evaluation elsewhere can do to the repaired points, and how sure that is. */
static void say_margins(nm_text *t, const nm_set_report *s)
{
    nm_say(t, "  margin     smallest %.4g; ", s->min_margin_after);
    if (s->safe_after == s->n)
        nm_say(t,
               "float32 evaluation in any order takes away at most %.3g of one and leaves %.3g\n",
               s->max_bound_after, s->min_slack_after);
    else
        nm_say(t,
               "%lld of %lld exceed what float32 evaluation in any order can take away (at most "
               "%.3g;\n             to first order %.3g, exceeded by %lld; probable model: %lld)\n",
               (long long)s->safe_after, (long long)s->n, s->max_bound_after,
               s->max_first_order_after, (long long)s->first_order_after,
               (long long)s->probable_after);
}

static void say_change(nm_text *t, const nm_repair_report *r)
{
    nm_say(t, "\n  changed    %lld of %lld free parameters in layer", (long long)r->n_changed,
           (long long)r->n_free);
    for (int i = 0; i < r->n_layers; i++)
        nm_say(t, "%s %d", i ? "," : r->n_layers > 1 ? "s" : "", r->layers[i]);
    nm_say(t, "; linf %.6g, l1 %.6g, l2 %.6g\n", r->change_linf, r->change_l1, r->change_l2);
    say_margins(t, &r->repair);
    if (r->shifted.weight > 0)
        nm_say(
            t,
            "  start      read like reference data, %lld of %lld wrong points are right without "
            "their labels;\n             with these data weighing %gfold, %.2f %% of them change "
            "class\n",
            (long long)(r->shifted.wrong_before - r->shifted.wrong_after),
            (long long)r->shifted.wrong_before, r->shifted.weight, 100 * r->shifted.moved);
    if (isfinite(r->objective))
        nm_say(t, "  optimum    %.9g, proven bound %.9g (gap %.1e)\n", r->objective, r->lower_bound,
               r->gap);
    else
        nm_say(t, "  optimum    none claimed: the change was found in steps\n");
    nm_say(t, "  program    %lld of %lld rows, %d rounds, %d linearisation%s, solver %s\n",
           (long long)r->rows, (long long)r->rows_total, r->solver_rounds, r->linearisations,
           r->linearisations == 1 ? "" : "s", r->solver);
}

static void say_times(nm_text *t, const nm_repair_report *r)
{
    nm_say(t,
           "  seconds    prepare %.3f, solve %.3f, judge %.3f, write and re-check %.3f, measure "
           "%.3f\n",
           r->s_prepare, r->s_solve, r->s_judge, r->s_write, r->s_measure);
}

char *nm_repair_report_text(const nm_repair_report *r)
{
    nm_text t = {.room = MAX_TEXT};

    if (nm_alloc(&t.at, MAX_TEXT, 1, NULL) != NM_OK)
        return NULL;
    say_headline(&t, r);
    if (r->outcome == NM_INFEASIBLE) {
        say_indices(&t, "conflicting points of the repair set:", r->conflict, r->n_conflict);
        say_indices(&t, "and of the keep set:", r->conflict_keep, r->n_conflict_keep);
    }
    say_unrepaired(&t, r);
    say_table(&t, r);
    if ((r->outcome == NM_REPAIRED || r->outcome == NM_PARTLY) && r->n_changed > 0)
        say_change(&t, r);
    say_times(&t, r);
    return t.at;
}

void nm_string_free(char *text)
{
    nm_free(text);
}

const char *nm_outcome_name(nm_outcome outcome)
{
    static const char *const names[] = {"repaired", "partly", "infeasible", "limit"};

    return names[outcome];
}

const char *nm_unrepaired_text(const nm_repair_report *r, int64_t i)
{
    const nm_unrepaired *u = &r->unrepaired[i];
    const nm_conflict_report *c = u->conflict >= 0 ? &r->conflicts[u->conflict] : NULL;

    switch (u->why) {
    case NM_LEFT_NOT_SAFE:
        return "right, but its margin is not what was asked for";
    case NM_LEFT_NOT_REACHED:
        return "not reached: no change was found that repairs it, too; nothing is proven";
    case NM_LEFT_OVERFLOW:
        return "its values may overflow in float32: no margin is as safe as asked";
    case NM_LEFT_STOPPED:
        return "not reached before the end";
    case NM_LEFT_CONFLICT:
        break;
    }
    if (c && c->kind == NM_CONFLICT_TWINS)
        return "the same numbers at the edited layer, but another label";
    if (c && c->n_points == 1 && c->n_keep == 0)
        return "no change within the plan repairs it";
    return "no change within the plan satisfies it together with the points in its conflict";
}

const char *nm_norm_name(nm_norm norm)
{
    static const char *const names[] = {"linf+l1n", "linf", "l1", "l2", "function"};

    return names[norm];
}
