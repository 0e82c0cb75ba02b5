#include <math.h>
#include <sched.h>
#include <string.h>

#include "base/mem.h"
#include "verify/parts_lane.h"

enum { FIRST_STEPS = 50, STEPS = 10, LAST_STEPS = 500 };

#define FIRST_RATE 0.3
#define FADE 0.9

/* -- lanes ----------------------------------------------------------------------------------- */

/* Takes parts for idle lanes; returns how many lanes have work. */
static int take_parts(nm_part_worker *w, bool *over)
{
    nm_parts *s = w->s;
    int n = 0;

    omp_set_lock(&s->lock);
    for (int lane = 0; lane < NM_MOST_LANES && !s->stop; lane++) {
        if (!w->lane[lane] && s->n_stack > 0) {
            w->lane[lane] = s->stack[--s->n_stack];
            w->step[lane] = -1; /* to be loaded */
            s->n_busy++;
            s->n_nodes++;
        }
        n += w->lane[lane] != NULL;
    }
    if (s->n_nodes > s->opts->max_nodes && !s->stop) {
        s->stop = true;
        s->rc = NM_E_LIMIT;
    }
    if (s->n_passes > s->most_passes) {
        if ((double)s->n_passes * s->scope_volume < (double)s->longest_passes * s->proved)
            s->most_passes += s->most_passes / 2;
        else
            s->stop = s->spent = true;
    }
    *over = s->stop || (n == 0 && s->n_busy == 0);
    omp_unset_lock(&s->lock);
    return n;
}

/* False when there is no work left for anyone. */
static bool fill_lanes(nm_part_worker *w)
{
    bool over;

    while (take_parts(w, &over) == 0 && !over)
        (void)sched_yield();
    for (int lane = 0; lane < NM_MOST_LANES && !over; lane++)
        if (w->lane[lane] && w->step[lane] < 0)
            nm_lane_load(w, lane);
    return !over;
}

/* -- points ---------------------------------------------------------------------------------- */

/* The minimising input of a lane. */
static bool try_lane(nm_part_worker *w, int lane)
{
    const nm_region *r = w->s->region;

    if (!r->try_point || !nm_region_has_points(r))
        return false;
    for (int64_t j = 0; j < r->v->nodes[0].n; j++)
        w->point[j] = nm_region_inside(r, j, w->batch.x[j * NM_MOST_LANES + lane]);
    if (nm_region_is_unsafe(r, w->point, w->values))
        return true;
    return r->attack_from && (w->n_nodes & (w->n_nodes - 1)) == 0 &&
           r->attack_from(r->user, w->point, r->lo, r->hi);
}

/* -- splits ---------------------------------------------------------------------------------- */

static nm_part *child_of(nm_part_worker *w, int lane, int32_t neuron, bool active, double reach,
                         int64_t node)
{
    const nm_parts *s = w->s;
    const nm_part *p = w->lane[lane];
    nm_part *child = nm_part_new(s, p->c, p->n_splits + 1);
    int m = s->region->first[p->c + 1] - s->region->first[p->c];

    if (!child)
        return NULL;
    memcpy(child->splits, p->splits, (size_t)p->n_splits * sizeof *p->splits);
    memcpy(child->weight, p->weight, (size_t)m * sizeof *p->weight);
    for (int64_t i = 0; i < s->n_open; i++)
        child->slope[i] = (float)w->batch.below[(int64_t)s->open[i] * NM_MOST_LANES + lane];
    for (int i = 0; i < p->n_splits; i++) {
        int64_t at = (int64_t)p->splits[i].neuron * NM_MOST_LANES + lane;

        child->splits[i].multiplier = (float)w->batch.multiplier[at];
        child->splits[i].reach = (float)w->batch.reach[at];
    }
    child->splits[p->n_splits] =
        (nm_part_split){.neuron = neuron, .active = active, .reach = (float)reach};
    child->node = node;
    child->bound = w->best[lane];
    child->volume = 0.5 * p->volume;
    return child;
}

static bool is_whole(const nm_part_worker *w, int lane)
{
    return w->s->first_split[w->lane[lane]->c] < 0;
}

/* What the whole scope is split by, if it comes to that, and what its worst case depends on. */
static void note_first(nm_part_worker *w, int lane, int32_t neuron)
{
    nm_parts *s = w->s;
    const nm_part *p = w->lane[lane];

    omp_set_lock(&s->lock);
    if (s->first_split[p->c] < 0) {
        s->first_split[p->c] = neuron;
        s->first_bound[p->c] = w->best[lane];
        if (s->worst_case < 0 || w->best[lane] < s->first_bound[s->worst_case]) {
            s->worst_case = p->c;
            nm_branch_importance(&w->batch, lane, s->importance);
        }
    }
    omp_unset_lock(&s->lock);
}

/* Nothing is relaxed that matters, so ascent comes to the exact bound, which has no end where no
   input has these signs. */
static void widen_steps(nm_part_worker *w, int lane)
{
    const nm_part *p = w->lane[lane];

    for (int i = 0; w->step[lane] % 32 == 0 && i < p->n_splits; i++)
        w->batch.reach[(int64_t)p->splits[i].neuron * NM_MOST_LANES + lane] *= 2;
    w->batch.rate[lane] = 0.3 / (1 + w->step[lane] % 32);
}

static bool split_lane(nm_part_worker *w, int lane)
{
    nm_candidates c;
    nm_part *off, *on;
    double bound_off, bound_on;
    int64_t node;
    int best;
    bool ok;

    nm_branch_candidates(w->s, &w->batch, lane, &c);
    if (c.n == 0 && w->step[lane] < LAST_STEPS) {
        widen_steps(w, lane);
        return true;
    }
    if (c.n == 0) {
        nm_lane_put_down(w, lane, false, true);
        return true;
    }
    best = nm_branch_probe(&w->probe, &w->batch, lane, &c, &bound_off, &bound_on);
    if (is_whole(w, lane))
        note_first(w, lane, c.neuron[best]);
    node = nm_parts_nodes(w->s, 2);
    off = child_of(w, lane, c.neuron[best], false, c.reach[best], node);
    on = child_of(w, lane, c.neuron[best], true, c.reach[best], node + 1);
    ok = off && on && node >= 0;
    if (ok && w->s->opts->keep_tree) {
        omp_set_lock(&w->s->lock);
        w->s->nodes[w->lane[lane]->node].neuron = c.neuron[best];
        w->s->nodes[w->lane[lane]->node].child = node;
        omp_unset_lock(&w->s->lock);
    }
    /* The child that looks better last, so that it is taken first: it may be closed soon. */
    if (ok && bound_off > bound_on)
        ok = nm_parts_push(w->s, on) && nm_parts_push(w->s, off);
    else if (ok)
        ok = nm_parts_push(w->s, off) && nm_parts_push(w->s, on);
    nm_lane_put_down(w, lane, false, false);
    return ok;
}

/* -- workers --------------------------------------------------------------------------------- */

/* Steps for splits that were handed down from the scope: as much as arrives there. */
static void set_reaches(nm_part_worker *w, int lane)
{
    const nm_part *p = w->lane[lane];

    for (int i = 0; i < p->n_splits; i++) {
        int64_t at = (int64_t)p->splits[i].neuron * NM_MOST_LANES + lane;

        if (w->batch.reach[at] == 0)
            w->batch.reach[at] = fabs(w->batch.kept[at]);
    }
}

/* After a pass back: closes lanes, sets steps. Returns whether any lane goes on; done: has had all
   its steps. */
static bool judge_lanes(nm_part_worker *w, bool *done, bool *ok)
{
    bool any = false;

    for (int lane = 0; lane < NM_MOST_LANES; lane++) {
        double bound = w->batch.bound[lane];

        done[lane] = false;
        if (!w->lane[lane])
            continue;
        if (w->step[lane] == 0)
            set_reaches(w, lane);
        if (bound > w->best[lane])
            w->best[lane] = bound;
        if (w->best[lane] > 0 && isfinite(w->best[lane])) {
            *ok = *ok && nm_lane_note_leaf(w, lane);
            nm_lane_put_down(w, lane, true, false);
            continue;
        }
        any = true;
        done[lane] = w->step[lane] >= (is_whole(w, lane) ? FIRST_STEPS : STEPS);
        w->batch.rate[lane] = FIRST_RATE * pow(FADE, w->step[lane]++);
    }
    return any;
}

/* One pass of all lanes. */
static bool run_lanes(nm_part_worker *w)
{
    bool done[NM_MOST_LANES], ok = true;

    nm_batch_back(&w->batch);
    if (!judge_lanes(w, done, &ok) || !ok)
        return ok;
    nm_batch_forward(&w->batch);
    for (int lane = 0; lane < NM_MOST_LANES; lane++) {
        if (!w->lane[lane])
            continue;
        if (!done[lane])
            nm_lane_weigh_rows(w, lane);
        else if (try_lane(w, lane)) {
            omp_set_lock(&w->s->lock);
            w->s->found = w->s->stop = true;
            omp_unset_lock(&w->s->lock);
            return true;
        } else if (!split_lane(w, lane))
            return false;
    }
    nm_batch_ascend(&w->batch);
    if (w->s->opts->keep_tree)
        nm_batch_round(&w->batch);
    return true;
}

static bool open_worker(nm_part_worker *w, nm_parts *s)
{
    const nm_vnet *v = s->region->v;
    nm_err ignored = {0};

    *w = (nm_part_worker){.s = s};
    if (nm_batch_open(&w->batch, v, &s->root->lines, &ignored) != NM_OK ||
        nm_batch_open(&w->probe, v, &s->root->lines, &ignored) != NM_OK)
        return false;
    for (int lane = 0; lane < NM_MOST_LANES; lane++)
        nm_batch_clear_lane(&w->batch, lane);
    w->values = nm_arena_take(&w->arena, (size_t)v->n_neurons, sizeof(double));
    w->point = nm_arena_take(&w->arena, (size_t)v->nodes[0].n, sizeof(float));
    return !w->arena.failed;
}

/* Parts in lanes go back to the stack, for whoever asks what is left. */
static void close_worker(nm_part_worker *w)
{
    for (int lane = 0; lane < NM_MOST_LANES; lane++)
        if (w->lane[lane]) {
            nm_part *p = w->lane[lane];

            p->bound = fmax(p->bound, w->best[lane]);
            omp_set_lock(&w->s->lock);
            w->s->n_busy--;
            w->s->n_parts[p->c]--; /* comes back in the next line */
            omp_unset_lock(&w->s->lock);
            if (!nm_parts_push(w->s, p)) {
                nm_parts_fail(w->s, NM_E_NOMEM);
                nm_free(p);
            }
        }
    if (w->batch.v)
        nm_batch_close(&w->batch);
    if (w->probe.v)
        nm_batch_close(&w->probe);
    nm_arena_clear(&w->arena);
}

static void report_progress(nm_parts *s)
{
    double proved;
    int64_t waiting;

    omp_set_lock(&s->lock);
    proved = s->proved_before + s->proved;
    waiting = s->n_stack;
    omp_unset_lock(&s->lock);
    nm_progress(s->ctx, "open parts", waiting, 0, proved);
}

void nm_parts_run(nm_parts *s)
{
    nm_part_worker w;
    bool ok = open_worker(&w, s);

    if (!ok)
        nm_parts_fail(s, NM_E_NOMEM);
    for (int64_t n = 0; ok && fill_lanes(&w); n++) {
        if (nm_ctx_must_stop(s->ctx)) {
            nm_parts_fail(s, NM_E_LIMIT);
            break;
        }
        ok = run_lanes(&w);
        if (!ok)
            nm_parts_fail(s, NM_E_NOMEM);
        omp_set_lock(&s->lock);
        s->n_passes += 2;
        omp_unset_lock(&s->lock);
        if (omp_get_thread_num() == 0 && n % 64 == 0)
            report_progress(s);
    }
    close_worker(&w);
}
