/* The rule of choice: what loses least on points that had no part in the trial.
 *
 * Points lost and gained are what counts, but on some hundred points chance has its say: layers
 * that are not clearly worse than the best (two standard errors of the paired difference) are as
 * good, and of those the one whose outputs drift least is taken. */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "choose/choosing.h"

static const double CLEARLY = 2; /* standard errors */
/* Within this factor, divergences measured on a few hundred points say the same; and below this
   much, in nats, they say that nothing is lost (measured: a fiftieth of a point of accuracy at
   about 1e-3, docs/choosing.md). */
static const double TIE = 1.5, NEGLIGIBLE = 5e-4;

static int64_t net_gain(const nm_layer_score *s)
{
    return s->gained - s->lost;
}

/* By the points alone; of equal layers the later one. */
static bool has_more_right(const nm_choosing *c, const nm_layer_score *s,
                           const nm_layer_score *earlier)
{
    if (c->tried[s->layer].reached != c->tried[earlier->layer].reached)
        return c->tried[s->layer].reached;
    return net_gain(s) >= net_gain(earlier);
}

/* McNemar's test: points that fare differently under the two, against what chance makes of them. */
static bool is_clearly_worse(const nm_choosing *c, const nm_layer_score *s,
                             const nm_layer_score *than)
{
    const nm_tried *a = &c->tried[s->layer], *b = &c->tried[than->layer];
    double sum = 0, squares = 0;

    if (a->reached != b->reached)
        return true;
    for (int64_t p = 0; p < c->measured.n; p++) {
        int more = b->fate[p] - a->fate[p];

        sum += more;
        squares += more * more;
    }
    return sum > CLEARLY * sqrt(squares);
}

/* Leaves open what has no place yet and is not clearly worse than the best of those. */
static void open_candidates(nm_choosing *c)
{
    nm_layer_score *scores = c->choice->scores, *best = NULL;

    for (int i = 0; i < c->choice->n_scores; i++) {
        nm_tried *t = &c->tried[i];

        t->open = t->fate && !t->taken;
        if (t->open && (!best || has_more_right(c, &scores[i], best)))
            best = &scores[i];
    }
    for (int i = 0; i < c->choice->n_scores; i++)
        if (c->tried[i].open && is_clearly_worse(c, &scores[i], best))
            c->tried[i].open = false;
}

/* The best of the layers that were tried and have no place yet; NULL: there is none.
   @param as_good  out, how many are: it, and earlier ones */
static nm_layer_score *pick_tried(nm_choosing *c, int *as_good)
{
    nm_layer_score *scores = c->choice->scores, *pick = NULL;
    double least = INFINITY;

    *as_good = 0;
    open_candidates(c);
    for (int i = 0; i < c->choice->n_scores; i++)
        if (c->tried[i].open)
            least = fmin(least, fmax(scores[i].measured_kl, NEGLIGIBLE));
    for (int i = 0; i < c->choice->n_scores; i++)
        if (c->tried[i].open && scores[i].measured_kl <= TIE * least) {
            pick = &scores[i];
            ++*as_good;
        }
    return pick;
}

/* Of the layers that have no place yet the one with the lowest cost; NULL: none has one. */
static nm_layer_score *pick_predicted(const nm_choosing *c)
{
    nm_layer_score *best = NULL;

    for (int i = 0; i < c->n; i++) {
        nm_layer_score *s = &c->choice->scores[c->layers[i]];

        if (!c->tried[s->layer].taken && isfinite(s->predicted_cost) &&
            (!best || s->predicted_cost < best->predicted_cost))
            best = s;
    }
    return best;
}

static void explain_tried(nm_choosing *c, const nm_layer_score *best, int as_good)
{
    nm_choice *choice = c->choice;
    const char *why = as_good > 1 ? "the last of those in which a trial loses about equally little"
                                  : "a trial there loses least";

    (void)snprintf(choice->reason, sizeof choice->reason,
                   "%s (on %lld other points %lld lost, %lld gained, divergence %.2g)", why,
                   (long long)choice->n_measured, (long long)best->lost, (long long)best->gained,
                   best->measured_kl);
}

/* The first choice, and why. */
static nm_layer_score *pick_first(nm_choosing *c, bool cut)
{
    nm_choice *choice = c->choice;
    int as_good = 0;
    nm_layer_score *best = cut ? NULL : pick_tried(c, &as_good);

    if (best) {
        explain_tried(c, best, as_good);
    } else if ((best = pick_predicted(c)) != NULL) {
        (void)snprintf(choice->reason, sizeof choice->reason, "lowest predicted cost (%.2g)%s",
                       best->predicted_cost, cut ? ", time limit reached while choosing" : "");
    } else {
        best = &choice->scores[c->layers[c->n - 1]];
        (void)snprintf(choice->reason, sizeof choice->reason, "the last one, %s",
                       cut         ? "time limit reached while choosing"
                       : c->n == 1 ? "no other can be scored"
                                   : "since to first order no layer alone suffices");
    }
    return best;
}

static void give_place(nm_choosing *c, const nm_layer_score *s)
{
    c->tried[s->layer].taken = true;
    c->choice->order[c->choice->n_order++] = s->layer;
}

nm_status nm_choosing_decide(nm_choosing *c, bool cut, nm_err *err)
{
    nm_choice *choice = c->choice;
    nm_status rc = nm_alloc(&choice->order, (size_t)c->n, sizeof *choice->order, err);
    nm_layer_score *s;
    int as_good;

    if (rc != NM_OK)
        return rc;
    s = pick_first(c, cut);
    s->chosen = true;
    choice->layer = s->layer;
    give_place(c, s);
    while ((s = pick_tried(c, &as_good)) || (s = pick_predicted(c)))
        give_place(c, s);
    return NM_OK;
}
