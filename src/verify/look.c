#include "verify/look.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

/* A box that lost this share of its volume to cutting is bounded once more before it is split. */
#define WORTH_AGAIN 0.5

/* -- boxes ----------------------------------------------------------------------------------- */

static size_t n_words(const nm_region *r)
{
    return ((size_t)r->n_cases + 63) / 64;
}

nm_box *nm_box_new(const nm_region *r)
{
    size_t n_in = (size_t)r->v->nodes[0].n, n = (size_t)r->v->n_neurons, words = n_words(r);
    nm_err ignored = {0};
    char *room;
    nm_box *b;

    if (nm_alloc(&room, 1, sizeof *b + words * 8 + (2 * n_in + 2 * n) * sizeof(double), &ignored) !=
        NM_OK)
        return NULL;
    b = (nm_box *)(void *)room;
    b->open = (uint64_t *)(void *)(room + sizeof *b);
    b->lo = (double *)(void *)(room + sizeof *b + words * 8);
    b->hi = b->lo + n_in;
    b->z_lo = b->hi + n_in;
    b->z_hi = b->z_lo + n;
    return b;
}

void nm_box_copy(const nm_region *r, const nm_box *from, nm_box *to)
{
    size_t n_in = (size_t)r->v->nodes[0].n, n = (size_t)r->v->n_neurons;

    to->least = from->least;
    to->worst = from->worst;
    to->volume = from->volume;
    memcpy(to->open, from->open, n_words(r) * 8);
    memcpy(to->lo, from->lo, (2 * n_in + 2 * n) * sizeof(double)); /* lo, hi, z_lo, z_hi */
}

static bool is_open(const nm_box *b, int c)
{
    return (b->open[c / 64] >> (c % 64) & 1) != 0;
}

/* -- points ---------------------------------------------------------------------------------- */

static bool try_middle(nm_looker *w, const double *lo, const double *hi)
{
    for (int64_t j = 0; j < w->region->v->nodes[0].n; j++)
        w->point[j] = nm_region_inside(w->region, j, 0.5 * lo[j] + 0.5 * hi[j]);
    return nm_region_is_unsafe(w->region, w->point, w->values);
}

static bool try_corner(nm_looker *w, const double *slope, const double *lo, const double *hi)
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
static void bound_rows(nm_looker *w, const nm_box *b)
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
static void add_line(nm_looker *w, int row, const double *slope, double constant, double bound)
{
    int64_t n_in = w->region->v->nodes[0].n;

    w->line_row[w->n_lines] = row;
    memcpy(w->line_slope + w->n_lines * n_in, slope, (size_t)n_in * sizeof *slope);
    w->line_constant[w->n_lines] = constant;
    w->line_bound[w->n_lines++] = bound;
}

static double combine(nm_looker *w, const nm_box *b)
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
static bool refine(nm_looker *w, const nm_box *b, int c, double *least)
{
    const nm_region *r = w->region;
    int64_t n_in = r->v->nodes[0].n;
    int first = r->first[c], m = r->first[c + 1] - first;

    for (int round = 0; round < w->opts->rounds; round++) {
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

static void note_number(nm_looker *w, double v)
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
static void note_lines(nm_looker *w)
{
    int64_t n_in = w->region->v->nodes[0].n;

    if (!w->opts->keep_tree)
        return;
    note_number(w, w->n_points);
    for (int64_t i = 0; i < w->n_points * n_in; i++)
        note_number(w, w->points[i]);
    for (int k = 0; k < w->n_lines; k++)
        note_number(w, w->y[k]);
}

/* Is the case closed, and if not: where may its unsafe points be? */
static bool close_case(nm_looker *w, const nm_box *b, int c, double *least, bool *found)
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
static void find_gains(nm_looker *w, const nm_box *b, int c)
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
        w->steer[j] += w->opts->linear * fabs(w->joint[j]) * (b->hi[j] - b->lo[j]);
}

/* Bounds a box, closes cases, cuts it. Points are tried before it is cut. */
nm_look nm_look_at(nm_looker *w, nm_box *b)
{
    const nm_region *r = w->region;
    int64_t n_in = r->v->nodes[0].n;
    size_t bytes = (size_t)n_in * sizeof(double);
    double worst = (double)INFINITY, share = 1;
    bool any = false, found = false;

    w->n_nodes++;
    w->n_numbers = 0;
    if (!nm_bound_neurons(&w->bounder, b->lo, b->hi, b->z_lo, b->z_hi))
        return NM_LOOK_CLOSED;
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
            return NM_LOOK_FOUND;
    }
    if (!any)
        return NM_LOOK_CLOSED;
    b->worst = worst;
    for (int64_t j = 0; j < n_in; j++) {
        double before = b->hi[j] - b->lo[j], after = w->hull_hi[j] - w->hull_lo[j];

        if (after < 0)
            return NM_LOOK_CLOSED; /* every unsafe point would have to be on both sides */
        share *= before > 0 ? after / before : 1;
    }
    memcpy(b->lo, w->hull_lo, bytes);
    memcpy(b->hi, w->hull_hi, bytes);
    if (nm_region_has_points(r) && try_middle(w, b->lo, b->hi))
        return NM_LOOK_FOUND;
    return share < WORTH_AGAIN ? NM_LOOK_AGAIN : NM_LOOK_SPLIT;
}

/* From where the lines of the worst case leave most room, now and then. */
bool nm_look_down(nm_looker *w, const nm_box *b)
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

int64_t nm_look_dim(const nm_looker *w, const nm_box *b)
{
    int64_t best = -1;
    double most = 0, widest = 0;

    /* Where gains say nothing, the widest one. */
    for (int64_t j = 0; j < w->region->v->nodes[0].n; j++) {
        double at = 0.5 * b->lo[j] + 0.5 * b->hi[j], width = b->hi[j] - b->lo[j];

        if (!(at > b->lo[j] && at < b->hi[j]))
            continue;
        if (w->steer[j] > most || (most == 0 && width > widest)) {
            most = w->steer[j] > most ? w->steer[j] : most;
            widest = width;
            best = j;
        }
    }
    return best;
}

/* -- room ---------------------------------------------------------------------------------- */

bool nm_looker_open(nm_looker *w, const nm_region *region, const nm_search_opts *opts)
{
    size_t n_in, n_rows;
    nm_err ignored = {0};

    *w = (nm_looker){.region = region, .opts = opts};
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
    w->points = nm_arena_take(&w->arena, (size_t)w->opts->rounds * n_in + 1, sizeof(double));
    w->worst_x = nm_arena_take(&w->arena, n_in, sizeof(double));
    w->x = nm_arena_take(&w->arena, n_in, sizeof(double));
    w->steer = nm_arena_take(&w->arena, n_in, sizeof(double));
    w->values = nm_arena_take(&w->arena, (size_t)w->region->v->n_neurons, sizeof(double));
    w->point = nm_arena_take(&w->arena, n_in, sizeof(float));
    if (!w->arena.failed)
        memset(w->steer, 0, n_in * sizeof(double));
    return nm_descent_open(&w->descent, w->region->v, &w->arena);
}

void nm_looker_close(nm_looker *w)
{
    nm_free(w->numbers);
    nm_arena_clear(&w->arena);
    nm_bounder_close(&w->bounder);
}
