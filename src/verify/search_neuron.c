/* Splitting neurons (region.h): each relu whose sign is open is one side or the other.
 *
 * All neurons are bounded once, with slopes of their own (tighten.h). A part of the region is a case
 * and the signs of some neurons; its bound is improved by ascent (batch.h), NM_MOST_LANES parts side
 * by side in each thread, and a lane takes the next part as soon as its own is closed or split.
 * Parts are worked off depth first. Slopes and multipliers are handed down.
 *
 * Which neuron is split: those are looked at where relaxation costs most at the minimising input, or
 * over the whole range; both children of each are bounded once, and the best pair wins (filtered
 * smart branching: De Palma et al., 2021). */
#include <math.h>
#include <omp.h>
#include <sched.h>
#include <string.h>

#include "base/mem.h"
#include "verify/batch.h"
#include "verify/region.h"
#include "verify/tighten.h"

enum {
    LANES = NM_MOST_LANES,
    CANDIDATES = LANES / 2, /* neurons that are tried before a split */
    ROOT_STEPS = 60,
    STEPS = 14,
    TIGHTEN_STEPS = 20
};

#define FIRST_RATE 0.3
#define FADE 0.9

typedef struct split {
    int32_t neuron;
    bool active;
    float multiplier, reach;
} split;

typedef struct part {
    int c;           /* case */
    int n_splits;
    double bound;    /* known already */
    double volume;   /* share of the whole */
    split *splits;   /* [n_splits] */
    float *slope;    /* [n_open] lower slopes of the open neurons */
    float *weight;   /* [rows of the case] */
} part;

struct shared {
    nm_ctx *ctx;
    const nm_region *region;
    const nm_search_opts *opts;
    nm_region_report *report;
    nm_bounder *root;
    int32_t *open; /* [n_open] open neurons, over all nodes */
    int64_t n_open;
    part **stack;
    int64_t n_stack, room;
    int n_busy; /* lanes with work */
    int64_t n_started;
    double least;
    bool stop;
    nm_status rc;
    nm_err *err;
    omp_lock_t lock;
};

struct worker {
    struct shared *s;
    nm_batch batch, probe;
    part *lane[LANES];
    int step[LANES];
    double best[LANES];
    double *values;
    float *point;
    nm_arena arena;
    int64_t n_nodes;
};

/* -- parts ----------------------------------------------------------------------------------- */

static part *part_new(const struct shared *s, int c, int n_splits)
{
    int m = s->region->first[c + 1] - s->region->first[c];
    nm_err ignored = {0};
    part *p;
    char *room;
    size_t bytes = sizeof *p + (size_t)n_splits * sizeof(split) +
                   ((size_t)s->n_open + (size_t)m) * sizeof(float);

    if (nm_alloc(&room, 1, bytes, &ignored) != NM_OK)
        return NULL;
    p = (part *)(void *)room;
    p->c = c;
    p->n_splits = n_splits;
    p->splits = (split *)(void *)(room + sizeof *p);
    p->slope = (float *)(void *)(p->splits + n_splits);
    p->weight = p->slope + s->n_open;
    return p;
}

static void fail(struct shared *s, nm_status rc)
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

static bool push(struct shared *s, part *p)
{
    nm_err ignored = {0};
    bool ok = true;

    omp_set_lock(&s->lock);
    if (s->n_stack == s->room) {
        int64_t more = s->room > 0 ? 2 * s->room : 256;

        ok = nm_realloc(&s->stack, (size_t)more, sizeof *s->stack, &ignored) == NM_OK;
        s->room = ok ? more : s->room;
    }
    if (ok)
        s->stack[s->n_stack++] = p;
    omp_unset_lock(&s->lock);
    return ok;
}

static void leave_open(struct shared *s, part *p, double bound)
{
    omp_set_lock(&s->lock);
    if (s->report->outcome == NM_REGION_SAFE)
        s->report->outcome = NM_REGION_OPEN;
    s->report->worst_bound = fmin(s->report->worst_bound, bound);
    s->report->n_open++;
    omp_unset_lock(&s->lock);
    nm_free(p);
}

/* A lane that had work gives it back. */
static void put_down(struct worker *w, int lane)
{
    struct shared *s = w->s;

    w->lane[lane] = NULL;
    w->batch.rate[lane] = 0;
    omp_set_lock(&s->lock);
    s->n_busy--;
    omp_unset_lock(&s->lock);
}

/* -- lanes ----------------------------------------------------------------------------------- */

/* Rows of a case with weights, as one row on the output. */
static void set_row(struct worker *w, nm_batch *b, int lane, const part *p)
{
    const nm_region *r = w->s->region;
    int64_t n_out = nm_vnet_output(r->v)->n;
    int first = r->first[p->c], m = r->first[p->c + 1] - first;

    b->at_0[lane] = 0;
    for (int64_t o = 0; o < n_out; o++)
        b->start[o * LANES + lane] = 0;
    for (int k = 0; k < m; k++) {
        b->at_0[lane] += (double)p->weight[k] * r->rows[first + k].at_0;
        for (int64_t o = 0; o < n_out; o++)
            b->start[o * LANES + lane] += (double)p->weight[k] * r->rows[first + k].c[o];
    }
}

static void load_lane(struct worker *w, nm_batch *b, int lane, const part *p)
{
    const struct shared *s = w->s;

    nm_batch_clear_lane(b, lane);
    for (int64_t i = 0; i < s->n_open; i++)
        b->below[(int64_t)s->open[i] * LANES + lane] = (double)p->slope[i];
    for (int i = 0; i < p->n_splits; i++)
        nm_batch_split(b, lane, p->splits[i].neuron, p->splits[i].active,
                       (double)p->splits[i].multiplier, (double)p->splits[i].reach);
    set_row(w, b, lane, p);
}

static void save_lane(struct worker *w, int lane, part *p)
{
    const struct shared *s = w->s;

    for (int64_t i = 0; i < s->n_open; i++)
        p->slope[i] = (float)w->batch.below[(int64_t)s->open[i] * LANES + lane];
    for (int i = 0; i < p->n_splits; i++)
        p->splits[i].multiplier =
            (float)w->batch.multiplier[(int64_t)p->splits[i].neuron * LANES + lane];
}

/* Fills idle lanes. False when there is no work left for anyone. */
static bool fill_lanes(struct worker *w)
{
    struct shared *s = w->s;

    for (;;) {
        int n = 0;
        bool over;

        omp_set_lock(&s->lock);
        for (int lane = 0; lane < LANES && !s->stop; lane++) {
            if (!w->lane[lane] && s->n_stack > 0) {
                w->lane[lane] = s->stack[--s->n_stack];
                s->n_busy++;
                s->n_started++;
                w->step[lane] = -1; /* to be loaded */
            }
            n += w->lane[lane] != NULL;
        }
        if (s->n_started > s->opts->max_nodes && !s->stop) {
            s->stop = true;
            s->rc = NM_E_LIMIT;
        }
        over = s->stop || (n == 0 && s->n_busy == 0);
        omp_unset_lock(&s->lock);
        if (over)
            return false;
        if (n > 0)
            break;
        (void)sched_yield();
    }
    for (int lane = 0; lane < LANES; lane++)
        if (w->lane[lane] && w->step[lane] < 0) {
            load_lane(w, &w->batch, lane, w->lane[lane]);
            w->step[lane] = 0;
            w->best[lane] = -(double)INFINITY;
            w->n_nodes++;
        }
    return true;
}

/* -- points ---------------------------------------------------------------------------------- */

static bool has_points(const nm_region *r)
{
    for (int64_t j = 0; j < r->v->nodes[0].n; j++)
        if (r->point_lo[j] > r->point_hi[j])
            return false;
    return true;
}

static double row_value(const nm_region *r, int row, const double *y)
{
    double sum = r->rows[row].at_0;

    for (int64_t j = 0; j < nm_vnet_output(r->v)->n; j++)
        sum += r->rows[row].c[j] * y[j];
    return sum;
}

/* The minimising input of a lane. */
static bool try_lane(struct worker *w, int lane)
{
    const nm_region *r = w->s->region;
    const double *y = w->values + nm_vnet_output(r->v)->first;

    if (!r->try_point || !has_points(r))
        return false;
    for (int64_t j = 0; j < r->v->nodes[0].n; j++) {
        float f = (float)w->batch.x[j * LANES + lane];

        w->point[j] = f < r->point_lo[j] ? r->point_lo[j] : f > r->point_hi[j] ? r->point_hi[j] : f;
        w->values[j] = (double)w->point[j];
    }
    nm_vnet_evaluate(r->v, w->values);
    for (int c = 0; c < r->n_cases; c++) {
        bool all = true;

        for (int row = r->first[c]; all && row < r->first[c + 1]; row++)
            all = row_value(r, row, y) <= 0;
        if (all)
            return r->try_point(r->user, w->point);
    }
    return r->attack_from && (w->n_nodes & (w->n_nodes - 1)) == 0 &&
           r->attack_from(r->user, w->point, r->lo, r->hi);
}

/* -- splits ---------------------------------------------------------------------------------- */

struct candidates {
    int n;
    int32_t neuron[CANDIDATES];
    double score[CANDIDATES], reach[CANDIDATES];
};

static void offer(struct candidates *c, int from, int most, int32_t neuron, double score,
                  double reach)
{
    int at;

    for (int i = 0; i < from; i++)
        if (c->neuron[i] == neuron)
            return;
    if (c->n == most && !(score > c->score[most - 1]))
        return;
    at = c->n < most ? c->n++ : most - 1;
    while (at > from && c->score[at - 1] < score) {
        c->neuron[at] = c->neuron[at - 1];
        c->score[at] = c->score[at - 1];
        c->reach[at] = c->reach[at - 1];
        at--;
    }
    c->neuron[at] = neuron;
    c->score[at] = score;
    c->reach[at] = reach;
}

/* Half of them by what the lines lose at the minimising input, half by what they may lose. */
static void find_candidates(struct worker *w, int lane, struct candidates *to)
{
    const struct shared *s = w->s;
    const nm_batch *b = &w->batch;
    const nm_lines *l = &s->root->lines;

    to->n = 0;
    for (int half = 0; half < 2; half++) {
        int from = to->n, most = half == 0 ? CANDIDATES / 2 : CANDIDATES;

        for (int64_t i = 0; i < s->n_open; i++) {
            int64_t n = s->open[i], at = n * LANES + lane;
            double a = b->kept[at], z = b->z[at], x = z > 0 ? z : 0, score;

            if (b->open[at] == 0 || a == 0)
                continue;
            if (half == 0)
                score = a > 0 ? a * (x - b->below[at] * z)
                              : -a * (b->above[at] * z + b->above_at[at] - x);
            else
                score = a > 0 ? a * fmax(b->below[at] * -l->lo[n], (1 - b->below[at]) * l->hi[n])
                              : -a * b->above_at[at];
            if (score > 0)
                offer(to, from, most, (int32_t)n, score, fabs(a));
        }
    }
}

/* Bounds both children of all candidates. */
static int probe(struct worker *w, int lane, struct candidates *c)
{
    const nm_batch *b = &w->batch;
    nm_batch *p = &w->probe;
    int best = 0;
    double best_gain = -(double)INFINITY;

    nm_batch_spread_lane(p, b, lane);
    for (int i = 0; i < c->n; i++)
        for (int side = 0; side < 2; side++)
            nm_batch_split(p, 2 * i + side, c->neuron[i], side == 1, 0, c->reach[i]);
    nm_batch_back(p);
    for (int i = 0; i < c->n; i++) {
        double low = fmin(p->bound[2 * i], p->bound[2 * i + 1]);
        double high = fmax(p->bound[2 * i], p->bound[2 * i + 1]);
        double gain = fmin(low, 0) + 0.3 * fmin(high, 0);

        if (gain > best_gain) {
            best_gain = gain;
            best = i;
        }
    }
    return best;
}

static part *child_of(struct worker *w, int lane, int32_t neuron, bool active, double reach)
{
    const part *p = w->lane[lane];
    part *child = part_new(w->s, p->c, p->n_splits + 1);
    int m = w->s->region->first[p->c + 1] - w->s->region->first[p->c];

    if (!child)
        return NULL;
    memcpy(child->splits, p->splits, (size_t)p->n_splits * sizeof *p->splits);
    memcpy(child->weight, p->weight, (size_t)m * sizeof *p->weight);
    child->n_splits = p->n_splits;
    save_lane(w, lane, child);
    child->splits[child->n_splits++] =
        (split){.neuron = neuron, .active = active, .reach = (float)reach};
    child->bound = w->best[lane];
    child->volume = 0.5 * p->volume;
    return child;
}

static bool split_lane(struct worker *w, int lane)
{
    struct candidates c;
    part *p = w->lane[lane], *off, *on;
    int best;
    bool ok;

    find_candidates(w, lane, &c);
    if (c.n == 0) { /* nothing is relaxed that matters: ascent has not come to the end, or never will */
        leave_open(w->s, p, w->best[lane]);
        put_down(w, lane);
        return true;
    }
    best = probe(w, lane, &c);
    off = child_of(w, lane, c.neuron[best], false, c.reach[best]);
    on = child_of(w, lane, c.neuron[best], true, c.reach[best]);
    ok = off && on;
    /* The child that looks better last, so that it is taken first: it may be closed soon. */
    if (ok && w->probe.bound[2 * best] > w->probe.bound[2 * best + 1])
        ok = push(w->s, on) && push(w->s, off);
    else if (ok)
        ok = push(w->s, off) && push(w->s, on);
    nm_free(p);
    put_down(w, lane);
    return ok;
}

/* -- workers --------------------------------------------------------------------------------- */

static void close_lane(struct worker *w, int lane)
{
    struct shared *s = w->s;

    omp_set_lock(&s->lock);
    s->least = fmin(s->least, w->best[lane]);
    s->report->share_proved += w->lane[lane]->volume;
    omp_unset_lock(&s->lock);
    nm_free(w->lane[lane]);
    put_down(w, lane);
}

static void found_point(struct shared *s)
{
    omp_set_lock(&s->lock);
    s->report->outcome = NM_REGION_UNSAFE;
    s->stop = true;
    omp_unset_lock(&s->lock);
}

/* Weights of the rows of a case follow their values (multiplicative weights). */
static void weigh_rows(struct worker *w, int lane)
{
    const nm_region *r = w->s->region;
    part *p = w->lane[lane];
    int first = r->first[p->c], m = r->first[p->c + 1] - first;
    double value[NM_MOST_LANES * 4], largest = 0, sum = 0;

    if (m < 2 || m > NM_MOST_LANES * 4)
        return;
    for (int k = 0; k < m; k++) {
        value[k] = r->rows[first + k].at_0;
        for (int64_t o = 0; o < nm_vnet_output(r->v)->n; o++)
            value[k] += r->rows[first + k].c[o] *
                        w->batch.z[(nm_vnet_output(r->v)->first + o) * LANES + lane];
        largest = fmax(largest, fabs(value[k]));
    }
    for (int k = 0; k < m; k++)
        sum += (double)(p->weight[k] *= (float)exp(w->batch.rate[lane] * value[k] / largest));
    for (int k = 0; k < m; k++)
        p->weight[k] /= (float)sum;
    set_row(w, &w->batch, lane, p);
}

/* One pass of all lanes. */
static bool run_lanes(struct worker *w)
{
    nm_batch *b = &w->batch;
    bool any = false, done[LANES] = {false};

    nm_batch_back(b);
    for (int lane = 0; lane < LANES; lane++) {
        part *p = w->lane[lane];
        int steps = p && p->n_splits == 0 ? ROOT_STEPS : STEPS;

        if (!p)
            continue;
        if (b->bound[lane] > w->best[lane])
            w->best[lane] = b->bound[lane];
        if (w->best[lane] > 0 && isfinite(w->best[lane])) {
            close_lane(w, lane);
            continue;
        }
        any = true;
        done[lane] = w->step[lane] == steps;
        b->rate[lane] = FIRST_RATE * pow(FADE, w->step[lane]++);
    }
    if (!any)
        return true;
    nm_batch_forward(b);
    for (int lane = 0; lane < LANES; lane++) {
        if (!w->lane[lane])
            continue;
        if (done[lane]) {
            if (try_lane(w, lane)) {
                found_point(w->s);
                return true;
            }
            if (!split_lane(w, lane))
                return false;
        } else
            weigh_rows(w, lane);
    }
    nm_batch_ascend(b);
    return true;
}

static bool open_worker(struct worker *w, struct shared *s)
{
    nm_err ignored = {0};

    *w = (struct worker){.s = s};
    if (nm_batch_open(&w->batch, s->region->v, &s->root->lines, &ignored) != NM_OK ||
        nm_batch_open(&w->probe, s->region->v, &s->root->lines, &ignored) != NM_OK)
        return false;
    for (int lane = 0; lane < LANES; lane++)
        nm_batch_clear_lane(&w->batch, lane);
    w->values = nm_arena_take(&w->arena, (size_t)s->region->v->n_neurons, sizeof(double));
    w->point = nm_arena_take(&w->arena, (size_t)s->region->v->nodes[0].n, sizeof(float));
    return !w->arena.failed;
}

static void close_worker(struct worker *w)
{
    for (int lane = 0; lane < LANES; lane++)
        if (w->lane[lane]) {
            leave_open(w->s, w->lane[lane], fmax(w->best[lane], w->lane[lane]->bound));
            put_down(w, lane);
        }
    omp_set_lock(&w->s->lock);
    w->s->report->n_nodes += w->n_nodes;
    omp_unset_lock(&w->s->lock);
    if (w->batch.v)
        nm_batch_close(&w->batch);
    if (w->probe.v)
        nm_batch_close(&w->probe);
    nm_arena_clear(&w->arena);
}

static void run_worker(struct shared *s)
{
    struct worker w;

    if (!open_worker(&w, s)) {
        fail(s, NM_E_NOMEM);
        close_worker(&w);
        return;
    }
    for (int64_t n = 0; fill_lanes(&w); n++) {
        if (nm_ctx_must_stop(s->ctx)) {
            fail(s, NM_E_LIMIT);
            break;
        }
        if (!run_lanes(&w)) {
            fail(s, NM_E_NOMEM);
            break;
        }
        if (omp_get_thread_num() == 0 && n % 64 == 0) {
            double share;
            int64_t waiting;

            omp_set_lock(&s->lock);
            share = s->report->share_proved;
            waiting = s->n_stack;
            omp_unset_lock(&s->lock);
            nm_progress(s->ctx, "open parts", waiting, 0, share);
        }
    }
    close_worker(&w);
}

/* -- all ------------------------------------------------------------------------------------- */

static nm_status list_open(struct shared *s, nm_err *err)
{
    const nm_vnet *v = s->region->v;
    const nm_lines *l = &s->root->lines;
    nm_status rc = nm_alloc(&s->open, (size_t)v->n_neurons, sizeof *s->open, err);

    for (int k = 0; rc == NM_OK && k < v->n_nodes; k++)
        for (int64_t i = v->nodes[k].first; i < v->nodes[k].first + v->nodes[k].n; i++)
            if (v->nodes[k].kind == NM_VNODE_RELU && l->lo[i] < 0 && l->hi[i] > 0)
                s->open[s->n_open++] = (int32_t)i;
    return rc;
}

static nm_status push_roots(struct shared *s, nm_err *err)
{
    const nm_region *r = s->region;

    for (int c = r->n_cases - 1; c >= 0; c--) {
        part *p = part_new(s, c, 0);
        int m = r->first[c + 1] - r->first[c];

        if (!p || !push(s, p)) {
            nm_free(p);
            return nm_fail(err, NM_E_NOMEM, "out of memory");
        }
        p->bound = -(double)INFINITY;
        p->volume = 1.0 / r->n_cases;
        for (int k = 0; k < m; k++)
            p->weight[k] = 1.0F / (float)m;
        for (int64_t i = 0; i < s->n_open; i++)
            p->slope[i] = (float)s->root->lines.below[s->open[i]];
    }
    return NM_OK;
}

static void drain(struct shared *s)
{
    while (s->n_stack > 0) {
        part *p = s->stack[--s->n_stack];

        leave_open(s, p, p->bound);
    }
    nm_free(s->stack);
    nm_free(s->open);
}

static nm_status run_search(struct shared *s, nm_err *err)
{
    int n_threads = nm_ctx_threads(s->ctx);
    nm_status rc = NM_OK;

    NM_TRY(list_open(s, err));
    NM_TRY(push_roots(s, err));
#pragma omp parallel num_threads(n_threads)
    run_worker(s);
    rc = s->rc;
done:
    return rc;
}

nm_status nm_search_neurons(nm_ctx *ctx, const nm_region *region, const nm_search_opts *opts,
                            nm_region_report *report, nm_err *err)
{
    nm_bounder root;
    struct shared s = {.ctx = ctx,
                       .region = region,
                       .opts = opts,
                       .report = report,
                       .root = &root,
                       .least = (double)INFINITY,
                       .err = err};
    nm_status rc = nm_bounder_open(&root, region->v, false, err);

    *report = (nm_region_report){.outcome = NM_REGION_SAFE, .worst_bound = (double)INFINITY};
    if (rc != NM_OK)
        return rc;
    omp_init_lock(&s.lock);
    /* An empty box has no unsafe point. */
    if (nm_bound_neurons(&root, region->lo, region->hi, NULL, NULL)) {
        rc = nm_tighten(ctx, &root, TIGHTEN_STEPS, err);
        if (rc == NM_OK)
            rc = run_search(&s, err);
        if (report->outcome == NM_REGION_SAFE)
            report->worst_bound = s.least;
        drain(&s);
        if (report->outcome == NM_REGION_SAFE && rc != NM_OK)
            report->outcome = NM_REGION_OPEN;
    }
    omp_destroy_lock(&s.lock);
    nm_bounder_close(&root);
    if (report->outcome == NM_REGION_UNSAFE)
        return NM_OK;
    if (rc == NM_E_LIMIT)
        return nm_ctx_cancelled(ctx) ? nm_ctx_check(ctx, err) : NM_OK;
    return rc;
}
