#include "verify/parts.h"

#include <math.h>
#include <sched.h>
#include <string.h>

#include "base/mem.h"

enum { LANES = NM_MOST_LANES, FIRST_STEPS = 50, STEPS = 10, LAST_STEPS = 500, MOST_WEIGHED = 64 };

#define FIRST_RATE 0.3
#define FADE 0.9

typedef struct worker {
    nm_parts *s;
    nm_batch batch, probe;
    nm_part *lane[LANES];
    int step[LANES];
    double best[LANES];
    double *values;
    float *point;
    nm_arena arena;
    int64_t n_nodes;
} worker;

/* -- the pool -------------------------------------------------------------------------------- */

nm_part *nm_part_new(const nm_parts *s, int c, int n_splits)
{
    int m = s->region->first[c + 1] - s->region->first[c];
    nm_err ignored = {0};
    nm_part *p;
    char *room;
    size_t bytes = sizeof *p + (size_t)n_splits * sizeof *p->splits +
                   ((size_t)s->n_open + (size_t)m) * sizeof(float);

    if (nm_alloc(&room, 1, bytes, &ignored) != NM_OK)
        return NULL;
    p = (nm_part *)(void *)room;
    p->c = c;
    p->n_splits = n_splits;
    p->splits = (nm_part_split *)(void *)(room + sizeof *p);
    p->slope = (float *)(void *)(p->splits + n_splits);
    p->weight = p->slope + s->n_open;
    return p;
}

int64_t nm_parts_nodes(nm_parts *s, int n)
{
    nm_err ignored = {0};
    int64_t first = 0;

    if (!s->opts->keep_tree)
        return 0;
    omp_set_lock(&s->lock);
    if (s->n_nodes_kept + n > s->room_nodes) {
        int64_t more = 2 * s->room_nodes + 256;

        if (nm_realloc(&s->nodes, (size_t)more, sizeof *s->nodes, &ignored) != NM_OK)
            first = -1;
        else
            s->room_nodes = more;
    }
    if (first == 0) {
        first = s->n_nodes_kept;
        s->n_nodes_kept += n;
        for (int i = 0; i < n; i++)
            s->nodes[first + i] = (nm_part_node){.neuron = -2};
    }
    omp_unset_lock(&s->lock);
    return first;
}

void nm_parts_clear_nodes(nm_parts *s)
{
    for (int64_t i = 0; i < s->n_nodes_kept; i++)
        nm_free(s->nodes[i].floats);
    s->n_nodes_kept = 0;
}

static void fail(nm_parts *s, nm_status rc)
{
    omp_set_lock(&s->lock);
    if (s->rc == NM_OK) {
        s->rc = rc;
        if (rc == NM_E_NOMEM)
            (void)nm_fail(s->err, rc, "out of memory");
    }
    s->stop = true;
    omp_unset_lock(&s->lock);
}

bool nm_parts_push(nm_parts *s, nm_part *p)
{
    nm_err ignored = {0};
    bool ok = true;

    omp_set_lock(&s->lock);
    if (s->n_stack == s->room) {
        int64_t more = s->room > 0 ? 2 * s->room : 256;

        ok = nm_realloc(&s->stack, (size_t)more, sizeof(nm_part *), &ignored) == NM_OK;
        s->room = ok ? more : s->room;
    }
    if (ok) {
        s->stack[s->n_stack++] = p;
        s->n_parts[p->c]++;
    }
    omp_unset_lock(&s->lock);
    return ok;
}

/* The leaf of a lane: what its bound came from. False when memory ran out. */
static bool note_leaf(worker *w, int lane)
{
    nm_parts *s = w->s;
    const nm_part *p = w->lane[lane];
    int m = s->region->first[p->c + 1] - s->region->first[p->c];
    size_t n_floats = (size_t)(m + p->n_splits);
    nm_part_node leaf = {.neuron = -1, .n_floats = (int32_t)n_floats};
    nm_err ignored = {0};

    if (!s->opts->keep_tree)
        return true;
    if (nm_alloc(&leaf.floats, n_floats * sizeof(float) + (size_t)s->n_open, 1, &ignored) != NM_OK)
        return false;
    leaf.bytes = (unsigned char *)(leaf.floats + n_floats);
    memcpy(leaf.floats, p->weight, (size_t)m * sizeof(float));
    for (int i = 0; i < p->n_splits; i++)
        leaf.floats[m + i] =
            (float)w->batch.multiplier[(int64_t)p->splits[i].neuron * LANES + lane];
    for (int64_t i = 0; i < s->n_open; i++)
        leaf.bytes[i] = (unsigned char)lrint(
            fmin(1, w->batch.below[(int64_t)s->open[i] * LANES + lane]) * NM_SLOPE_STEPS);
    omp_set_lock(&s->lock);
    s->nodes[p->node] = leaf;
    omp_unset_lock(&s->lock);
    return true;
}

/* A lane is done with its part: closed, split, or stuck (which leaves it open for good). */
static void put_down(worker *w, int lane, bool closed, bool stuck)
{
    nm_parts *s = w->s;
    nm_part *p = w->lane[lane];

    omp_set_lock(&s->lock);
    s->n_busy--;
    if (closed) {
        s->case_least[p->c] = fmin(s->case_least[p->c], w->best[lane]);
        s->proved += p->volume;
    }
    if (stuck) {
        s->worst = fmin(s->worst, w->best[lane]);
        s->n_stuck++;
    } else
        s->n_parts[p->c]--;
    omp_unset_lock(&s->lock);
    nm_free(p);
    w->lane[lane] = NULL;
    w->batch.rate[lane] = 0;
}

/* -- lanes ----------------------------------------------------------------------------------- */

/* Rows of a case with weights, as one row on the output. */
static void set_row(worker *w, int lane)
{
    const nm_region *r = w->s->region;
    const nm_part *p = w->lane[lane];
    nm_batch *b = &w->batch;
    int64_t n_out = nm_vnet_output(r->v)->n;
    int first = r->first[p->c], m = r->first[p->c + 1] - first;
    double size = 0;

    b->at_0[lane] = 0;
    for (int64_t o = 0; o < n_out; o++)
        b->start[o * LANES + lane] = 0;
    for (int k = 0; k < m; k++) {
        const nm_vrow *row = &r->rows[first + k];
        double weight = (double)p->weight[k];

        b->at_0[lane] += weight * row->at_0;
        size += weight * fabs(row->at_0);
        for (int64_t o = 0; o < n_out; o++) {
            b->start[o * LANES + lane] += weight * row->c[o];
            size += weight * fabs(row->c[o]) * nm_vnet_output(r->v)->size[o];
        }
    }
    /* What the sums round, on outputs as large as they may be; one row is taken as it is. */
    if (m > 1)
        b->at_0[lane] -= (m + 2) * 0x1p-52 * size;
}

static void load_lane(worker *w, int lane)
{
    const nm_parts *s = w->s;
    const nm_part *p = w->lane[lane];
    nm_batch *b = &w->batch;

    nm_batch_clear_lane(b, lane);
    for (int64_t i = 0; i < s->n_open; i++)
        b->below[(int64_t)s->open[i] * LANES + lane] = (double)p->slope[i];
    for (int i = 0; i < p->n_splits; i++)
        nm_batch_split(b, lane, p->splits[i].neuron, p->splits[i].active,
                       (double)p->splits[i].multiplier, (double)p->splits[i].reach);
    set_row(w, lane);
    if (s->opts->keep_tree)
        nm_batch_round(b);
    w->step[lane] = 0;
    w->best[lane] = -(double)INFINITY;
    w->n_nodes++;
}

/* Takes parts for idle lanes; returns how many lanes have work. */
static int take_parts(worker *w, bool *over)
{
    nm_parts *s = w->s;
    int n = 0;

    omp_set_lock(&s->lock);
    for (int lane = 0; lane < LANES && !s->stop; lane++) {
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
static bool fill_lanes(worker *w)
{
    bool over;

    while (take_parts(w, &over) == 0 && !over)
        (void)sched_yield();
    for (int lane = 0; lane < LANES && !over; lane++)
        if (w->lane[lane] && w->step[lane] < 0)
            load_lane(w, lane);
    return !over;
}

/* -- points ---------------------------------------------------------------------------------- */

/* The minimising input of a lane. */
static bool try_lane(worker *w, int lane)
{
    const nm_region *r = w->s->region;

    if (!r->try_point || !nm_region_has_points(r))
        return false;
    for (int64_t j = 0; j < r->v->nodes[0].n; j++)
        w->point[j] = nm_region_inside(r, j, w->batch.x[j * LANES + lane]);
    if (nm_region_is_unsafe(r, w->point, w->values))
        return true;
    return r->attack_from && (w->n_nodes & (w->n_nodes - 1)) == 0 &&
           r->attack_from(r->user, w->point, r->lo, r->hi);
}

/* -- splits ---------------------------------------------------------------------------------- */

static nm_part *child_of(worker *w, int lane, int32_t neuron, bool active, double reach,
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
        child->slope[i] = (float)w->batch.below[(int64_t)s->open[i] * LANES + lane];
    for (int i = 0; i < p->n_splits; i++) {
        int64_t at = (int64_t)p->splits[i].neuron * LANES + lane;

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

static bool is_whole(const worker *w, int lane)
{
    return w->s->first_split[w->lane[lane]->c] < 0;
}

/* What the whole scope is split by, if it comes to that, and what its worst case depends on. */
static void note_first(worker *w, int lane, int32_t neuron)
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
static void widen_steps(worker *w, int lane)
{
    const nm_part *p = w->lane[lane];

    for (int i = 0; w->step[lane] % 32 == 0 && i < p->n_splits; i++)
        w->batch.reach[(int64_t)p->splits[i].neuron * LANES + lane] *= 2;
    w->batch.rate[lane] = 0.3 / (1 + w->step[lane] % 32);
}

static bool split_lane(worker *w, int lane)
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
        put_down(w, lane, false, true);
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
    put_down(w, lane, false, false);
    return ok;
}

/* Weights of the rows of a case follow their values (multiplicative weights). */
static void weigh_rows(worker *w, int lane)
{
    const nm_region *r = w->s->region;
    const double *z = w->batch.z + nm_vnet_output(r->v)->first * LANES + lane;
    nm_part *p = w->lane[lane];
    int first = r->first[p->c], m = r->first[p->c + 1] - first;
    double value[MOST_WEIGHED], largest = 1e-30, sum = 0;

    if (m < 2 || m > MOST_WEIGHED)
        return;
    for (int k = 0; k < m; k++) {
        value[k] = r->rows[first + k].at_0;
        for (int64_t o = 0; o < nm_vnet_output(r->v)->n; o++)
            value[k] += r->rows[first + k].c[o] * z[o * LANES];
        largest = fmax(largest, fabs(value[k]));
    }
    for (int k = 0; k < m; k++) {
        p->weight[k] *= (float)exp(w->batch.rate[lane] * value[k] / largest);
        sum += (double)p->weight[k];
    }
    for (int k = 0; k < m; k++)
        p->weight[k] /= (float)sum;
    set_row(w, lane);
}

/* -- workers --------------------------------------------------------------------------------- */

/* Steps for splits that were handed down from the scope: as much as arrives there. */
static void set_reaches(worker *w, int lane)
{
    const nm_part *p = w->lane[lane];

    for (int i = 0; i < p->n_splits; i++) {
        int64_t at = (int64_t)p->splits[i].neuron * LANES + lane;

        if (w->batch.reach[at] == 0)
            w->batch.reach[at] = fabs(w->batch.kept[at]);
    }
}

/* After a pass back: closes lanes, sets steps. Returns whether any lane goes on; done: has had all
   its steps. */
static bool judge_lanes(worker *w, bool *done, bool *ok)
{
    bool any = false;

    for (int lane = 0; lane < LANES; lane++) {
        double bound = w->batch.bound[lane];

        done[lane] = false;
        if (!w->lane[lane])
            continue;
        if (w->step[lane] == 0)
            set_reaches(w, lane);
        if (bound > w->best[lane])
            w->best[lane] = bound;
        if (w->best[lane] > 0 && isfinite(w->best[lane])) {
            *ok = *ok && note_leaf(w, lane);
            put_down(w, lane, true, false);
            continue;
        }
        any = true;
        done[lane] = w->step[lane] >= (is_whole(w, lane) ? FIRST_STEPS : STEPS);
        w->batch.rate[lane] = FIRST_RATE * pow(FADE, w->step[lane]++);
    }
    return any;
}

/* One pass of all lanes. */
static bool run_lanes(worker *w)
{
    bool done[LANES], ok = true;

    nm_batch_back(&w->batch);
    if (!judge_lanes(w, done, &ok) || !ok)
        return ok;
    nm_batch_forward(&w->batch);
    for (int lane = 0; lane < LANES; lane++) {
        if (!w->lane[lane])
            continue;
        if (!done[lane])
            weigh_rows(w, lane);
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

static bool open_worker(worker *w, nm_parts *s)
{
    const nm_vnet *v = s->region->v;
    nm_err ignored = {0};

    *w = (worker){.s = s};
    if (nm_batch_open(&w->batch, v, &s->root->lines, &ignored) != NM_OK ||
        nm_batch_open(&w->probe, v, &s->root->lines, &ignored) != NM_OK)
        return false;
    for (int lane = 0; lane < LANES; lane++)
        nm_batch_clear_lane(&w->batch, lane);
    w->values = nm_arena_take(&w->arena, (size_t)v->n_neurons, sizeof(double));
    w->point = nm_arena_take(&w->arena, (size_t)v->nodes[0].n, sizeof(float));
    return !w->arena.failed;
}

/* Parts in lanes go back to the stack, for whoever asks what is left. */
static void close_worker(worker *w)
{
    for (int lane = 0; lane < LANES; lane++)
        if (w->lane[lane]) {
            nm_part *p = w->lane[lane];

            p->bound = fmax(p->bound, w->best[lane]);
            omp_set_lock(&w->s->lock);
            w->s->n_busy--;
            w->s->n_parts[p->c]--; /* comes back in the next line */
            omp_unset_lock(&w->s->lock);
            if (!nm_parts_push(w->s, p)) {
                fail(w->s, NM_E_NOMEM);
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
    worker w;
    bool ok = open_worker(&w, s);

    if (!ok)
        fail(s, NM_E_NOMEM);
    for (int64_t n = 0; ok && fill_lanes(&w); n++) {
        if (nm_ctx_must_stop(s->ctx)) {
            fail(s, NM_E_LIMIT);
            break;
        }
        ok = run_lanes(&w);
        if (!ok)
            fail(s, NM_E_NOMEM);
        omp_set_lock(&s->lock);
        s->n_passes += 2;
        omp_unset_lock(&s->lock);
        if (omp_get_thread_num() == 0 && n % 64 == 0)
            report_progress(s);
    }
    close_worker(&w);
}
