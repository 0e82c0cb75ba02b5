/* Splitting the box of inputs (region.h).
 *
 * Each box is bounded, cut to where its lines leave room for unsafe points, tried at a few points,
 * and halved. The dimension is the one with the largest max(|slope|, floor) x width, slopes those
 * of the case that is furthest from closed. Without the floor a clipped lower line, which may be
 * flat in the very dimension that makes neurons unstable, leads astray.
 *
 * Threads share one heap, the worst bound on top; when it is long, they go depth first. Verdicts do
 * not depend on the number of threads: what is closed is closed, and a part with an unsafe point
 * never is. */
#include <math.h>
#include <omp.h>
#include <sched.h>
#include <string.h>

#include "base/mem.h"
#include "verify/combine.h"
#include "verify/descend.h"

/* Boxes in the heap before threads go depth first. */
enum { MOST_WAITING = 8192 };

/* A box that lost this share of its volume to cutting is bounded once more before it is split. */
#define WORTH_AGAIN 0.5

typedef struct box {
    double least;        /* bounds by which cases were closed */
    double worst;        /* how far the furthest case is from closed; small = first */
    double volume;       /* share of the whole */
    int64_t split;       /* place in the tree, -1 = not kept */
    uint64_t *open;      /* cases that are not closed */
    double *lo, *hi;     /* [n_in] */
    double *z_lo, *z_hi; /* [n_neurons] */
} box;

struct shared {
    nm_ctx *ctx;
    const nm_region *region;
    const nm_search_opts *opts;
    nm_region_report *report;
    box **heap;
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
    const nm_region *region;
    nm_bounder bounder;
    nm_arena arena;
    box **stack; /* depth first */
    int64_t n_stack, room_stack;
    /* one box's findings */
    double *slope, *constant, *bound; /* rows */
    double *y, *joint, *to_lo, *to_hi, *hull_lo, *hull_hi, *values;
    double *steer; /* [n_in] what splitting each input would gain */
    double *x, *touch_slope;
    double *line_slope; /* lines of one case: of its rows, then refined ones */
    double line_constant[NM_COMBINE_MOST], line_bound[NM_COMBINE_MOST];
    double joint_constant;
    int n_lines, line_row[NM_COMBINE_MOST];
    bool refined; /* the last rows carried were refined ones */
    int *lane;    /* [n_rows] of each row in the last call */
    int n_calls;
    nm_descent descent;
    double *worst_x;
    int worst_case;
    double *numbers; /* of the node, for the proof */
    int64_t n_numbers, room_numbers;
    double *points; /* [rounds x n_in] of refined lines */
    int n_points;
    bool lost_numbers; /* memory ran out */
    float *point;
    int64_t n_nodes;
};

/* -- boxes ----------------------------------------------------------------------------------- */

static size_t n_words(const nm_region *r)
{
    return ((size_t)r->n_cases + 63) / 64;
}

static box *box_new(const nm_region *r)
{
    size_t n_in = (size_t)r->v->nodes[0].n, n = (size_t)r->v->n_neurons, words = n_words(r);
    nm_err ignored = {0};
    char *room;
    box *b;

    if (nm_alloc(&room, 1, sizeof *b + words * 8 + (2 * n_in + 2 * n) * sizeof(double), &ignored) !=
        NM_OK)
        return NULL;
    b = (box *)(void *)room;
    b->open = (uint64_t *)(void *)(room + sizeof *b);
    b->lo = (double *)(void *)(room + sizeof *b + words * 8);
    b->hi = b->lo + n_in;
    b->z_lo = b->hi + n_in;
    b->z_hi = b->z_lo + n;
    return b;
}

static bool is_open(const box *b, int c)
{
    return (b->open[c / 64] >> (c % 64) & 1) != 0;
}

/* -- the heap -------------------------------------------------------------------------------- */

static void sift_up(box **heap, int64_t i)
{
    while (i > 0 && heap[i]->worst < heap[(i - 1) / 2]->worst) {
        box *other = heap[(i - 1) / 2];

        heap[(i - 1) / 2] = heap[i];
        heap[i] = other;
        i = (i - 1) / 2;
    }
}

static void sift_down(box **heap, int64_t n, int64_t i)
{
    for (;;) {
        int64_t least = i;

        for (int64_t c = 2 * i + 1; c <= 2 * i + 2; c++)
            if (c < n && heap[c]->worst < heap[least]->worst)
                least = c;
        if (least == i)
            return;
        box *other = heap[least];
        heap[least] = heap[i];
        heap[i] = other;
        i = least;
    }
}

static bool push(box ***list, int64_t *n, int64_t *room, box *b)
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

static box *take_first(struct shared *s)
{
    box *first = s->heap[0];

    s->heap[0] = s->heap[--s->n_heap];
    sift_down(s->heap, s->n_heap, 0);
    return first;
}

/* The next box of this worker; NULL when there is no work left for anyone. */
static box *next_box(struct worker *w)
{
    struct shared *s = w->s;
    box *b = NULL;

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

/* -- points ---------------------------------------------------------------------------------- */

static bool try_middle(struct worker *w, const double *lo, const double *hi)
{
    for (int64_t j = 0; j < w->region->v->nodes[0].n; j++)
        w->point[j] = nm_region_inside(w->region, j, 0.5 * lo[j] + 0.5 * hi[j]);
    return nm_region_is_unsafe(w->region, w->point, w->values);
}

static bool try_corner(struct worker *w, const double *slope, const double *lo, const double *hi)
{
    for (int64_t j = 0; j < w->region->v->nodes[0].n; j++)
        w->point[j] = nm_region_inside(w->region, j,
                                       slope[j] > 0   ? lo[j]
                                       : slope[j] < 0 ? hi[j]
                                                      : 0.5 * lo[j] + 0.5 * hi[j]);
    return nm_region_is_unsafe(w->region, w->point, w->values);
}

/* -- one box ----------------------------------------------------------------------------------- */

/* Bounds all rows of open cases. */
static void bound_rows(struct worker *w, const box *b)
{
    const nm_region *r = w->region;
    int64_t n_in = r->v->nodes[0].n;
    int n = 0, at[NM_MOST_LANES];
    nm_vrow rows[NM_MOST_LANES];
    double bound[NM_MOST_LANES], constant[NM_MOST_LANES];

    w->n_calls = 1;
    for (int c = 0; c < r->n_cases; c++)
        for (int row = r->first[c]; is_open(b, c) && row < r->first[c + 1]; row++) {
            at[n] = row;
            w->lane[row] = n;
            rows[n++] = r->rows[row];
            if (n < NM_MOST_LANES)
                continue;
            nm_bound_rows(&w->bounder, n, rows, bound, w->joint, constant);
            for (int k = 0; k < n; k++) {
                w->bound[at[k]] = bound[k];
                w->constant[at[k]] = constant[k];
                memcpy(w->slope + at[k] * n_in, w->joint + k * n_in, (size_t)n_in * sizeof(double));
            }
            n = 0;
            w->n_calls++;
        }
    if (n > 0)
        nm_bound_rows(&w->bounder, n, rows, bound, w->joint, constant);
    for (int k = 0; k < n; k++) {
        w->bound[at[k]] = bound[k];
        w->constant[at[k]] = constant[k];
        memcpy(w->slope + at[k] * n_in, w->joint + k * n_in, (size_t)n_in * sizeof(double));
    }
}

/* @param row  of the case */
static void add_line(struct worker *w, int row, const double *slope, double constant, double bound)
{
    int64_t n_in = w->region->v->nodes[0].n;

    w->line_row[w->n_lines] = row;
    memcpy(w->line_slope + w->n_lines * n_in, slope, (size_t)n_in * sizeof *slope);
    w->line_constant[w->n_lines] = constant;
    w->line_bound[w->n_lines++] = bound;
}

static double combine(struct worker *w, const box *b)
{
    int64_t n_in = w->region->v->nodes[0].n;
    const double *slope[NM_COMBINE_MOST];

    for (int k = 0; k < w->n_lines; k++)
        slope[k] = w->line_slope + k * n_in;
    return nm_combine_best(&(nm_combine){.m = w->n_lines,
                                         .n = n_in,
                                         .slope = slope,
                                         .constant = w->line_constant,
                                         .lo = b->lo,
                                         .hi = b->hi},
                           w->y, w->joint, &w->joint_constant, w->x);
}

static bool is_proof(double bound)
{
    return bound > 0 && isfinite(bound);
}

/* Lines with the lower slopes that are best where all lines leave most room (a cutting plane for
   the slopes). The point is tried on the way. */
static bool refine(struct worker *w, const box *b, int c, double *least)
{
    const nm_region *r = w->region;
    int64_t n_in = r->v->nodes[0].n;
    int first = r->first[c], m = r->first[c + 1] - first;

    for (int round = 0; round < w->s->opts->rounds; round++) {
        double bound[NM_MOST_LANES], constant[NM_MOST_LANES], before = *least;

        if (m > NM_MOST_LANES || w->n_lines + m > NM_COMBINE_MOST || !isfinite(*least))
            break;
        if (try_middle(w, w->x, w->x))
            return true;
        memcpy(w->points + w->n_points++ * n_in, w->values, (size_t)n_in * sizeof(double));
        w->refined = true;
        nm_bound_touch(&w->bounder, w->values);
        nm_bound_rows(&w->bounder, m, r->rows + first, bound, w->touch_slope, constant);
        for (int k = 0; k < m; k++)
            add_line(w, k, w->touch_slope + k * n_in, constant[k], bound[k]);
        *least = combine(w, b);
        if (is_proof(*least) || !(*least - before > -0.05 * before))
            break;
    }
    return false;
}

static void note_number(struct worker *w, double v)
{
    nm_err ignored = {0};

    if (w->n_numbers == w->room_numbers) {
        int64_t more = 2 * w->room_numbers + 64;

        if (nm_realloc(&w->numbers, (size_t)more, sizeof(double), &ignored) != NM_OK) {
            w->lost_numbers = true;
            return;
        }
        w->room_numbers = more;
    }
    w->numbers[w->n_numbers++] = v;
}

/* The lines and weights of a case, as region_proof.h has them. */
static void note_lines(struct worker *w)
{
    int64_t n_in = w->region->v->nodes[0].n;

    if (!w->s->opts->keep_tree)
        return;
    note_number(w, w->n_points);
    for (int64_t i = 0; i < w->n_points * n_in; i++)
        note_number(w, w->points[i]);
    for (int k = 0; k < w->n_lines; k++)
        note_number(w, w->y[k]);
}

/* Is the case closed, and if not: where may its unsafe points be? */
static bool close_case(struct worker *w, const box *b, int c, double *least, bool *found)
{
    const nm_region *r = w->region;
    int64_t n_in = r->v->nodes[0].n;
    size_t bytes = (size_t)n_in * sizeof(double);
    int first = r->first[c], m = r->first[c + 1] - first;

    m = m < NM_COMBINE_MOST ? m : NM_COMBINE_MOST;
    w->n_lines = w->n_points = 0;
    w->refined = false;
    for (int k = first; k < first + m; k++)
        add_line(w, k - first, w->slope + k * n_in, w->constant[k], w->bound[k]);
    for (int k = 0; k < w->n_lines; k++)
        if (is_proof(w->line_bound[k])) {
            memset(w->y, 0, (size_t)w->n_lines * sizeof *w->y);
            w->y[k] = 1;
            *least = w->line_bound[k];
            note_lines(w);
            return true;
        }
    *least = combine(w, b);
    if (!is_proof(*least))
        *found = refine(w, b, c, least);
    note_lines(w);
    if (is_proof(*least))
        return true;
    memcpy(w->to_lo, b->lo, bytes);
    memcpy(w->to_hi, b->hi, bytes);
    for (int round = 0; round < 2; round++)
        for (int k = -1; k < w->n_lines; k++)
            if (!nm_combine_cut(n_in, k < 0 ? w->joint : w->line_slope + k * n_in,
                                k < 0 ? w->joint_constant : w->line_constant[k], w->to_lo,
                                w->to_hi))
                return true;
    return false;
}

/* A split halves what relaxation costs in proportion to what an input has a part in, and the width
   of the linear part, which helps one child only. */
static void find_gains(struct worker *w, const box *b, int c)
{
    const nm_region *r = w->region;
    double weight[NM_MOST_LANES] = {0};
    int first = r->first[c], m = r->first[c + 1] - first;

    m = m < NM_MOST_LANES ? m : NM_MOST_LANES;
    if (!w->refined && w->n_calls > 1) {
        double bound[NM_MOST_LANES];

        nm_bound_rows(&w->bounder, m, r->rows + first, bound, NULL, NULL);
    }
    for (int k = 0; k < w->n_lines; k++) {
        int row = w->line_row[k];

        if (row < m)
            weight[w->refined || w->n_calls > 1 ? row : w->lane[first + row]] += w->y[k];
    }
    nm_bound_costs(&w->bounder, NM_MOST_LANES, weight, w->steer);
    for (int64_t j = 0; j < r->v->nodes[0].n; j++)
        w->steer[j] += w->s->opts->linear * fabs(w->joint[j]) * (b->hi[j] - b->lo[j]);
}

typedef enum verdict { CLOSED, FOUND, AGAIN, SPLIT } verdict;

/* Bounds a box, closes cases, cuts it. Points are tried before it is cut. */
static verdict look_at(struct worker *w, box *b)
{
    const nm_region *r = w->region;
    int64_t n_in = r->v->nodes[0].n;
    size_t bytes = (size_t)n_in * sizeof(double);
    double worst = (double)INFINITY, share = 1;
    bool any = false, found = false;

    w->n_nodes++;
    w->n_numbers = 0;
    if (!nm_bound_neurons(&w->bounder, b->lo, b->hi, b->z_lo, b->z_hi))
        return CLOSED;
    nm_bound_copy(&w->bounder, b->z_lo, b->z_hi);
    bound_rows(w, b);
    for (int c = 0; c < r->n_cases; c++) {
        double least;

        if (!is_open(b, c))
            continue;
        if (close_case(w, b, c, &least, &found)) {
            b->least = fmin(b->least, least);
            b->open[c / 64] &= ~((uint64_t)1 << (c % 64));
            continue;
        }
        for (int64_t j = 0; j < n_in; j++) {
            w->hull_lo[j] = any ? fmin(w->hull_lo[j], w->to_lo[j]) : w->to_lo[j];
            w->hull_hi[j] = any ? fmax(w->hull_hi[j], w->to_hi[j]) : w->to_hi[j];
        }
        any = true;
        if (!(least >= worst)) {
            worst = least;
            find_gains(w, b, c);
            w->worst_case = c;
            memcpy(w->worst_x, w->x, bytes);
        }
        if (found || (nm_region_has_points(r) &&
                      (try_corner(w, w->joint, b->lo, b->hi) || try_middle(w, w->x, w->x))))
            return FOUND;
    }
    if (!any)
        return CLOSED;
    b->worst = worst;
    for (int64_t j = 0; j < n_in; j++) {
        double before = b->hi[j] - b->lo[j], after = w->hull_hi[j] - w->hull_lo[j];

        if (after < 0)
            return CLOSED; /* every unsafe point would have to be on both sides */
        share *= before > 0 ? after / before : 1;
    }
    memcpy(b->lo, w->hull_lo, bytes);
    memcpy(b->hi, w->hull_hi, bytes);
    if (nm_region_has_points(r) && try_middle(w, b->lo, b->hi))
        return FOUND;
    return share < WORTH_AGAIN ? AGAIN : SPLIT;
}

/* From where the lines of the worst case leave most room, now and then. */
static bool descend(struct worker *w, const box *b)
{
    const nm_region *r = w->region;

    if (!nm_region_has_points(r) || (w->n_nodes > 16 && w->n_nodes % 4 != 0))
        return false;
    if (r->attack_from && (w->n_nodes & (w->n_nodes - 1)) == 0 && w->n_nodes >= 64) {
        for (int64_t j = 0; j < r->v->nodes[0].n; j++)
            w->point[j] = nm_region_inside(r, j, w->worst_x[j]);
        if (r->attack_from(r->user, w->point, b->lo, b->hi))
            return true;
    }
    (void)nm_descend(&w->descent, &w->bounder, r, w->worst_case, w->worst_x, 24);
    return try_middle(w, w->worst_x, w->worst_x);
}

static int64_t choose_dim(const struct worker *w, const box *b)
{
    int64_t best = -1;
    double most = 0;

    for (int64_t j = 0; j < w->region->v->nodes[0].n; j++) {
        double score = w->steer[j];
        double at = 0.5 * b->lo[j] + 0.5 * b->hi[j];

        if (score > most && at > b->lo[j] && at < b->hi[j]) {
            most = score;
            best = j;
        }
    }
    return best;
}

/* -- limits and reports ------------------------------------------------------------------- */

static void leave_open(struct shared *s, box *b)
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
    bool ok = !w->lost_numbers;

    if (!s->opts->keep_tree)
        return true;
    split.n_numbers = w->n_numbers;
    ok = ok && nm_memdup(&split.numbers, w->numbers, (size_t)w->n_numbers, sizeof(double),
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
static bool note_again(struct worker *w, box *b)
{
    if (!note(w, b->split, (nm_box_split){.kind = NM_SPLIT_AGAIN}, 1))
        return false;
    b->split = child_of(w->s, b->split);
    return true;
}

/* -- workers --------------------------------------------------------------------------------- */

static bool split_box(struct worker *w, box *b)
{
    struct shared *s = w->s;
    int64_t dim = choose_dim(w, b), n_in = w->region->v->nodes[0].n, n_waiting;
    nm_box_split how = {.kind = NM_SPLIT_INPUT, .dim = (int32_t)dim};
    size_t bytes = (size_t)(2 * n_in + 2 * w->region->v->n_neurons) * sizeof(double);
    box *other;

    if (dim < 0) { /* a point, to double precision: it can be neither closed nor refuted */
        leave_open(s, b);
        return true;
    }
    other = box_new(w->region);
    if (!other)
        return false;
    memcpy(other->open, b->open, n_words(w->region) * 8);
    memcpy(other->lo, b->lo, bytes);
    b->volume *= 0.5;
    other->volume = b->volume;
    other->worst = b->worst;
    other->least = b->least;
    how.at = 0.5 * b->lo[dim] + 0.5 * b->hi[dim];
    b->hi[dim] = other->lo[dim] = how.at;
    if (!note(w, b->split, how, 2))
        return false;
    b->split = child_of(s, b->split);
    other->split = b->split + 1;
    omp_set_lock(&s->lock);
    n_waiting = s->n_heap;
    if (n_waiting < MOST_WAITING) {
        bool ok = push(&s->heap, &s->n_heap, &s->room, b);

        if (ok)
            sift_up(s->heap, s->n_heap - 1);
        ok = ok && push(&s->heap, &s->n_heap, &s->room, other);
        if (ok)
            sift_up(s->heap, s->n_heap - 1);
        omp_unset_lock(&s->lock);
        return ok;
    }
    omp_unset_lock(&s->lock);
    return push(&w->stack, &w->n_stack, &w->room_stack, b) &&
           push(&w->stack, &w->n_stack, &w->room_stack, other);
}

static void finish_box(struct worker *w, box *b, verdict v)
{
    struct shared *s = w->s;

    omp_set_lock(&s->lock);
    if (v == FOUND) {
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

static bool run_box(struct worker *w, box *b)
{
    verdict v = look_at(w, b);

    for (int again = 0; v == AGAIN && again < 8; again++) {
        if (!note_again(w, b))
            return false;
        v = look_at(w, b);
    }
    if (v == SPLIT && descend(w, b))
        v = FOUND;
    if (v == CLOSED && !note(w, b->split, (nm_box_split){.kind = NM_SPLIT_NONE}, 0))
        return false;
    if (v == CLOSED || v == FOUND) {
        finish_box(w, b, v);
        return true;
    }
    return split_box(w, b);
}

static bool open_worker(struct worker *w, struct shared *s)
{
    size_t n_in, n_rows;
    nm_err ignored = {0};

    *w = (struct worker){.s = s, .region = s->region};
    n_in = (size_t)w->region->v->nodes[0].n;
    n_rows = (size_t)w->region->n_rows;
    if (nm_bounder_open(&w->bounder, w->region->v, true, &ignored) != NM_OK)
        return false;
    w->slope = nm_arena_take(&w->arena, n_rows * n_in, sizeof(double));
    w->constant = nm_arena_take(&w->arena, n_rows, sizeof(double));
    w->bound = nm_arena_take(&w->arena, n_rows, sizeof(double));
    w->lane = nm_arena_take(&w->arena, n_rows, sizeof(int));
    w->y = nm_arena_take(&w->arena, NM_COMBINE_MOST, sizeof(double));
    w->joint = nm_arena_take(&w->arena, NM_MOST_LANES * n_in, sizeof(double));
    w->to_lo = nm_arena_take(&w->arena, n_in, sizeof(double));
    w->to_hi = nm_arena_take(&w->arena, n_in, sizeof(double));
    w->hull_lo = nm_arena_take(&w->arena, n_in, sizeof(double));
    w->hull_hi = nm_arena_take(&w->arena, n_in, sizeof(double));
    w->touch_slope = nm_arena_take(&w->arena, NM_MOST_LANES * n_in, sizeof(double));
    w->line_slope = nm_arena_take(&w->arena, NM_COMBINE_MOST * n_in, sizeof(double));
    w->points = nm_arena_take(&w->arena, (size_t)w->s->opts->rounds * n_in + 1, sizeof(double));
    w->worst_x = nm_arena_take(&w->arena, n_in, sizeof(double));
    w->x = nm_arena_take(&w->arena, n_in, sizeof(double));
    w->steer = nm_arena_take(&w->arena, n_in, sizeof(double));
    w->values = nm_arena_take(&w->arena, (size_t)w->region->v->n_neurons, sizeof(double));
    w->point = nm_arena_take(&w->arena, n_in, sizeof(float));
    if (!w->arena.failed)
        memset(w->steer, 0, n_in * sizeof(double));
    return nm_descent_open(&w->descent, w->region->v, &w->arena);
}

static void close_worker(struct worker *w)
{
    struct shared *s = w->s;

    omp_set_lock(&s->lock);
    s->report->n_nodes += w->n_nodes;
    omp_unset_lock(&s->lock);
    while (w->n_stack > 0)
        leave_open(s, w->stack[--w->n_stack]);
    nm_free(w->stack);
    nm_free(w->numbers);
    nm_arena_clear(&w->arena);
    nm_bounder_close(&w->bounder);
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
    struct worker w;
    box *b;
    int64_t n = 0;

    if (!open_worker(&w, s)) {
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
    box *b = box_new(r);

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
