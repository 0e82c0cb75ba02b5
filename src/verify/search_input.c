/* Splitting the box of inputs (region.h).
 *
 * Each box is bounded, cut to where its lines leave room for unsafe points, tried at a few points
 * (look.h), and halved: along the input that has most part in what relaxation costs, each neuron's
 * cost going to the inputs in proportion to what they move it by. On ACAS Xu that takes 5 to 50
 * times fewer boxes than max(|slope|, floor) x width.
 *
 * Threads share one heap, the worst bound on top; when it is long, they go depth first. Verdicts do
 * not depend on the number of threads: what is closed is closed, and a part with an unsafe point
 * never is. */
#include <math.h>
#include <omp.h>
#include <sched.h>
#include <string.h>

#include "base/mem.h"
#include "verify/look.h"

/* Boxes in the heap before threads go depth first. */
enum { MOST_WAITING = 8192 };

struct shared {
    nm_ctx *ctx;
    const nm_region *region;
    const nm_search_opts *opts;
    nm_region_report *report;
    nm_box **heap;
    int64_t n_heap, room;
    int n_busy;
    int64_t n_started; /* boxes, where they are limited */
    double least;      /* bound over what was closed */
    bool stop;
    nm_status rc;
    nm_err *err;
    int64_t room_splits;
    omp_lock_t lock;
};

struct worker {
    struct shared *s;
    nm_looker look;
    nm_box **stack; /* depth first */
    int64_t n_stack, room_stack;
};

/* -- the heap -------------------------------------------------------------------------------- */

static void sift_up(nm_box **heap, int64_t i)
{
    while (i > 0 && heap[i]->worst < heap[(i - 1) / 2]->worst) {
        nm_box *other = heap[(i - 1) / 2];

        heap[(i - 1) / 2] = heap[i];
        heap[i] = other;
        i = (i - 1) / 2;
    }
}

static void sift_down(nm_box **heap, int64_t n, int64_t i)
{
    for (;;) {
        int64_t least = i;

        for (int64_t c = 2 * i + 1; c <= 2 * i + 2; c++)
            if (c < n && heap[c]->worst < heap[least]->worst)
                least = c;
        if (least == i)
            return;
        nm_box *other = heap[least];
        heap[least] = heap[i];
        heap[i] = other;
        i = least;
    }
}

static bool push(nm_box ***list, int64_t *n, int64_t *room, nm_box *b)
{
    nm_err ignored = {0};

    if (*n == *room) {
        int64_t more = *room > 0 ? 2 * *room : 256;

        if (nm_realloc(list, (size_t)more, sizeof **list, &ignored) != NM_OK)
            return false;
        *room = more;
    }
    (*list)[(*n)++] = b;
    return true;
}

static nm_box *take_first(struct shared *s)
{
    nm_box *first = s->heap[0];

    s->heap[0] = s->heap[--s->n_heap];
    sift_down(s->heap, s->n_heap, 0);
    return first;
}

/* The next box of this worker; NULL when there is no work left for anyone. */
static nm_box *next_box(struct worker *w)
{
    struct shared *s = w->s;
    nm_box *b = NULL;

    if (w->n_stack > 0) {
        bool stop;

#pragma omp atomic read
        stop = s->stop;
        if (stop)
            return NULL;
        return w->stack[--w->n_stack];
    }
    omp_set_lock(&s->lock);
    s->n_busy--;
    while (!s->stop && !b) {
        if (s->n_heap > 0) {
            b = take_first(s);
            s->n_busy++;
        } else if (s->n_busy == 0)
            break;
        else {
            omp_unset_lock(&s->lock);
            (void)sched_yield();
            omp_set_lock(&s->lock);
        }
    }
    omp_unset_lock(&s->lock);
    return b;
}

static void fail(struct shared *s, nm_status rc)
{
    omp_set_lock(&s->lock);
    if (s->rc == NM_OK) {
        s->rc = rc;
        if (rc == NM_E_NOMEM)
            (void)nm_fail(s->err, rc, "out of memory");
    }
#pragma omp atomic write
    s->stop = true;
    omp_unset_lock(&s->lock);
}

/* -- limits and reports ------------------------------------------------------------------- */

static void leave_open(struct shared *s, nm_box *b)
{
    omp_set_lock(&s->lock);
    if (s->report->outcome == NM_REGION_SAFE)
        s->report->outcome = NM_REGION_OPEN;
    s->report->worst_bound = fmin(s->report->worst_bound, b->worst);
    s->report->n_open++;
    omp_unset_lock(&s->lock);
    nm_free(b);
}

/* -- the tree -------------------------------------------------------------------------------- */

/* Notes what became of the box at `place`, and makes room for its children. */
static bool note(struct worker *w, int64_t place, nm_box_split split, int n_children)
{
    struct shared *s = w->s;
    nm_region_report *report = s->report;
    nm_err ignored = {0};
    bool ok = !w->look.lost_numbers;

    if (!s->opts->keep_tree)
        return true;
    split.n_numbers = w->look.n_numbers;
    ok = ok && nm_memdup(&split.numbers, w->look.numbers, (size_t)w->look.n_numbers, sizeof(double),
                         &ignored) == NM_OK;
    omp_set_lock(&s->lock);
    if (ok && report->n_splits + n_children > s->room_splits) {
        int64_t room = 2 * (s->room_splits + n_children);

        ok = nm_realloc(&report->splits, (size_t)room, sizeof *report->splits, &ignored) == NM_OK;
        s->room_splits = ok ? room : s->room_splits;
    }
    if (ok) {
        split.child = n_children > 0 ? report->n_splits : -1;
        for (int i = 0; i < n_children; i++)
            report->splits[report->n_splits++] = (nm_box_split){.child = -1};
        report->splits[place] = split;
    } else
        nm_free(split.numbers);
    omp_unset_lock(&s->lock);
    return ok;
}

static int64_t child_of(struct shared *s, int64_t place)
{
    int64_t child;

    omp_set_lock(&s->lock);
    child = s->opts->keep_tree ? s->report->splits[place].child : -1;
    omp_unset_lock(&s->lock);
    return child;
}

/* A node with one child: the same box, cut. */
static bool note_again(struct worker *w, nm_box *b)
{
    if (!note(w, b->split, (nm_box_split){.kind = NM_SPLIT_AGAIN}, 1))
        return false;
    b->split = child_of(w->s, b->split);
    return true;
}

/* -- workers --------------------------------------------------------------------------------- */

/* Two boxes into the heap, or onto the worker's stack when that is long. What cannot be kept is
   freed. */
static bool put(struct worker *w, nm_box *a, nm_box *b)
{
    struct shared *s = w->s;
    nm_box *both[2] = {a, b};
    bool ok[2], deep;

    omp_set_lock(&s->lock);
    deep = s->n_heap >= MOST_WAITING;
    for (int i = 0; i < 2 && !deep; i++) {
        ok[i] = push(&s->heap, &s->n_heap, &s->room, both[i]);
        if (ok[i])
            sift_up(s->heap, s->n_heap - 1);
    }
    omp_unset_lock(&s->lock);
    for (int i = 0; i < 2; i++) {
        if (deep)
            ok[i] = push(&w->stack, &w->n_stack, &w->room_stack, both[i]);
        if (!ok[i])
            nm_free(both[i]);
    }
    return ok[0] && ok[1];
}

/* Halves a box; takes it over. */
static bool split_box(struct worker *w, nm_box *b)
{
    struct shared *s = w->s;
    int64_t dim = nm_look_dim(&w->look, b);
    nm_box_split how = {.kind = NM_SPLIT_INPUT, .dim = (int32_t)dim};
    nm_box *other;

    if (dim < 0) { /* a point, to double precision: it can be neither closed nor refuted */
        leave_open(s, b);
        return true;
    }
    how.at = 0.5 * b->lo[dim] + 0.5 * b->hi[dim];
    other = nm_box_new(s->region);
    if (!other || !note(w, b->split, how, 2)) {
        nm_free(other);
        nm_free(b);
        return false;
    }
    b->volume *= 0.5;
    nm_box_copy(s->region, b, other);
    b->hi[dim] = other->lo[dim] = how.at;
    b->split = child_of(s, b->split);
    other->split = b->split + 1;
    return put(w, b, other);
}

static void finish_box(struct worker *w, nm_box *b, nm_look v)
{
    struct shared *s = w->s;

    omp_set_lock(&s->lock);
    if (v == NM_LOOK_FOUND) {
        s->report->outcome = NM_REGION_UNSAFE;
#pragma omp atomic write
        s->stop = true;
    } else {
        s->report->share_proved += b->volume;
        s->least = fmin(s->least, b->least);
    }
    omp_unset_lock(&s->lock);
    nm_free(b);
}

static bool run_box(struct worker *w, nm_box *b)
{
    nm_look v = nm_look_at(&w->look, b);

    for (int again = 0; v == NM_LOOK_AGAIN && again < 8; again++) {
        if (!note_again(w, b)) {
            nm_free(b);
            return false;
        }
        v = nm_look_at(&w->look, b);
    }
    if (v == NM_LOOK_SPLIT && nm_look_down(&w->look, b))
        v = NM_LOOK_FOUND;
    if (v == NM_LOOK_CLOSED && !note(w, b->split, (nm_box_split){.kind = NM_SPLIT_NONE}, 0)) {
        nm_free(b);
        return false;
    }
    if (v == NM_LOOK_CLOSED || v == NM_LOOK_FOUND) {
        finish_box(w, b, v);
        return true;
    }
    return split_box(w, b);
}

static void close_worker(struct worker *w)
{
    struct shared *s = w->s;

    omp_set_lock(&s->lock);
    s->report->n_nodes += w->look.n_nodes;
    omp_unset_lock(&s->lock);
    while (w->n_stack > 0)
        leave_open(s, w->stack[--w->n_stack]);
    nm_free(w->stack);
    nm_looker_close(&w->look);
}

static bool has_spent(struct worker *w)
{
    int64_t all;

    if (w->s->opts->max_nodes == INT64_MAX)
        return false;
#pragma omp atomic capture
    all = ++w->s->n_started;
    return all > w->s->opts->max_nodes;
}

static void run_worker(struct shared *s)
{
    struct worker w = {.s = s};
    nm_box *b;
    int64_t n = 0;

    if (!nm_looker_open(&w.look, s->region, s->opts)) {
        fail(s, NM_E_NOMEM);
        close_worker(&w);
        return;
    }
    while ((b = next_box(&w))) {
        if (nm_ctx_must_stop(s->ctx) || has_spent(&w)) {
            leave_open(s, b);
            fail(s, NM_E_LIMIT);
            break;
        }
        if (!run_box(&w, b)) {
            fail(s, NM_E_NOMEM);
            break;
        }
        if (omp_get_thread_num() == 0 && n++ % 64 == 0) {
            omp_set_lock(&s->lock);
            double share = s->report->share_proved;
            int64_t waiting = s->n_heap;
            omp_unset_lock(&s->lock);
            nm_progress(s->ctx, "open boxes", waiting, 0, share);
        }
    }
    close_worker(&w);
}

/* -- all ------------------------------------------------------------------------------------- */

static nm_status push_root(struct shared *s, nm_err *err)
{
    const nm_region *r = s->region;
    size_t n_in = (size_t)r->v->nodes[0].n;
    nm_box *b = nm_box_new(r);

    if (!b || !push(&s->heap, &s->n_heap, &s->room, b)) {
        nm_free(b);
        return nm_fail(err, NM_E_NOMEM, "out of memory");
    }
    b->worst = -(double)INFINITY;
    b->least = (double)INFINITY;
    b->volume = 1;
    for (int c = 0; c < r->n_cases; c++)
        b->open[c / 64] |= (uint64_t)1 << (c % 64);
    memcpy(b->lo, r->lo, n_in * sizeof(double));
    memcpy(b->hi, r->hi, n_in * sizeof(double));
    for (int k = 0; k < r->v->n_nodes; k++) {
        const nm_vnode *node = &r->v->nodes[k];

        memcpy(b->z_lo + node->first, node->lo, (size_t)node->n * sizeof(double));
        memcpy(b->z_hi + node->first, node->hi, (size_t)node->n * sizeof(double));
    }
    if (!s->opts->keep_tree)
        return NM_OK;
    s->room_splits = 256;
    s->report->n_splits = 1;
    nm_status rc = nm_alloc(&s->report->splits, 256, sizeof *s->report->splits, err);

    if (rc == NM_OK)
        s->report->splits[0] = (nm_box_split){.child = -1};
    return rc;
}

nm_status nm_search_inputs(nm_ctx *ctx, const nm_region *region, const nm_search_opts *opts,
                           nm_region_report *report, nm_err *err)
{
    struct shared s = {.ctx = ctx,
                       .region = region,
                       .opts = opts,
                       .report = report,
                       .err = err,
                       .least = (double)INFINITY};
    int n_threads = nm_ctx_threads(ctx);

    *report = (nm_region_report){.outcome = NM_REGION_SAFE, .worst_bound = (double)INFINITY};
    s.rc = push_root(&s, err);
    s.n_busy = n_threads;
    omp_init_lock(&s.lock);
    if (s.rc == NM_OK) {
#pragma omp parallel num_threads(n_threads)
        {
#pragma omp single
            s.n_busy = omp_get_num_threads();
            run_worker(&s);
        }
    }
    omp_destroy_lock(&s.lock);
    if (report->outcome == NM_REGION_SAFE && s.rc != NM_OK)
        report->outcome = NM_REGION_OPEN;
    if (report->outcome == NM_REGION_SAFE)
        report->worst_bound = s.least;
    for (int64_t i = 0; i < s.n_heap; i++) {
        report->worst_bound = fmin(report->worst_bound, s.heap[i]->worst);
        report->n_open++;
        nm_free(s.heap[i]);
    }
    nm_free(s.heap);
    if (report->outcome == NM_REGION_UNSAFE)
        return NM_OK;
    if (s.rc == NM_E_LIMIT)
        return nm_ctx_cancelled(ctx) ? nm_ctx_check(ctx, err) : NM_OK;
    return s.rc;
}
