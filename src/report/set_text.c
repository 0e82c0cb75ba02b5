/* The analysis of a repair set for people. */
#include <math.h>

#include "base/mem.h"
#include "netmend/set_analysis.h"
#include "report/text.h"

enum { ROOM = 4096, MAX_SHOWN = 3 };

static void say_hull(nm_text *t, const nm_set_analysis *a)
{
    nm_say(t, "  hull of the inputs: dimension %lld", (long long)a->hull_dimension);
    if (a->hull_vertices >= 0)
        nm_say(t, ", %lld of %lld points are vertices", (long long)a->hull_vertices,
               (long long)a->n_sampled);
    if (a->patterns >= 0)
        nm_say(t, "; %lld activation patterns", (long long)a->patterns);
    nm_say(t, "\n");
}

static void say_conflicts(nm_text *t, const nm_set_analysis *a)
{
    if (a->n_conflicts == 0)
        return;
    nm_say(t, "  %lld pairs want different classes and cannot be told apart:\n",
           (long long)a->n_conflicts);
    for (int64_t i = 0; i < a->n_conflicts && i < MAX_SHOWN; i++) {
        const nm_set_conflict *c = &a->conflicts[i];

        nm_say(t, "    points %lld and %lld: ", (long long)c->a, (long long)c->b);
        if (c->layer < 0)
            nm_say(t, "the same input\n");
        else
            nm_say(t, "the same input of layer %d\n", c->layer);
    }
}

char *nm_set_analysis_text(const nm_set_analysis *a)
{
    nm_text t = {.room = ROOM};

    if (nm_alloc(&t.at, t.room, 1, NULL) != NM_OK)
        return NULL;
    nm_say(&t,
           "repair set: %lld points (%lld wrong, behind by %.3g in all), %lld of %lld classes "
           "(entropy %.2f nats)\n",
           (long long)a->n, (long long)a->n_wrong, a->deficit, (long long)a->n_classes,
           (long long)a->n_scores, a->class_entropy);
    if (a->n > 1)
        nm_say(&t, "  distances: inputs %.3g on average (least %.3g), features %.3g (least %.3g)\n",
               a->input.mean, a->input.least, a->feature.mean, a->feature.least);
    if (!isnan(a->near_share))
        nm_say(&t, "  %.0f %% of the reference points have a repair point near by\n",
               100 * a->near_share);
    say_hull(&t, a);
    say_conflicts(&t, a);
    return t.at;
}
