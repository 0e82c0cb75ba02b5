#ifdef NM_CLONE

NM_CLONE_TARGET static void NM_CLONED(back)(const nm_batch_node *n, double *constant, double *lost)
{
    back_body(n, constant, lost);
}

NM_CLONE_TARGET static void NM_CLONED(forward)(const nm_batch_node *n)
{
    forward_body(n);
}

NM_CLONE_TARGET static void NM_CLONED(apply)(int64_t n_rows, const int32_t *rows, int64_t n_cols,
                                             const int32_t *cols, const double *w, int64_t ld,
                                             const double *from, double *to)
{
    apply_body(n_rows, rows, n_cols, cols, w, ld, from, to);
}

NM_CLONE_TARGET static void NM_CLONED(ascend)(const nm_batch_step *s)
{
    ascend_body(s);
}

static const nm_batch_kernels NM_CLONED(kernels)[1] = {{.back = NM_CLONED(back),
                                                        .forward = NM_CLONED(forward),
                                                        .apply = NM_CLONED(apply),
                                                        .ascend = NM_CLONED(ascend)}};
#else

#include "verify/batch_kernels.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

typedef double vector __attribute__((vector_size(64)));
typedef int64_t mask __attribute__((vector_size(64)));
typedef double loose __attribute__((vector_size(64), aligned(8), may_alias));

enum { V = NM_MOST_LANES / NM_LANE_VECTOR };

#define LOAD(from) ((vector) * (const loose *)(from))
#define STORE(to, v) (*(loose *)(to) = (loose)(v))
#define WHERE(condition, v) ((vector)((condition) & (mask)(v)))
#define LOW(a) WHERE((a) < (vector){0}, a)

ALWAYS_INLINE void back_body(const nm_batch_node *n, double *constant, double *lost)
{
    vector sum[V], loss[V];

    for (int k = 0; k < V; k++) {
        sum[k] = LOAD(constant + k * NM_LANE_VECTOR);
        loss[k] = LOAD(lost + k * NM_LANE_VECTOR);
    }
    for (int64_t i = 0; i < n->n; i++)
        for (int k = 0; k < V; k++) {
            int64_t at = (int64_t)n->at[i] * NM_MOST_LANES + k * NM_LANE_VECTOR;
            vector a = LOAD(n->row + at), low = LOW(a), high = a - low, row;
            vector push = LOAD(n->push + at);

            STORE(n->kept + at, a);
            row = high * LOAD(n->below + at) + low * LOAD(n->above + at) + push;
            sum[k] += row * n->bias[n->at[i]];
            sum[k] += low * LOAD(n->above_at + at);
            sum[k] += high * LOAD(n->below_at + at);
            /* What cancels here rounds by as much as it was. */
            loss[k] += (row - 2 * LOW(row) + push - 2 * LOW(push)) * n->error[n->at[i]];
            STORE(n->row + at, row);
        }
    for (int k = 0; k < V; k++) {
        STORE(constant + k * NM_LANE_VECTOR, sum[k]);
        STORE(lost + k * NM_LANE_VECTOR, loss[k]);
    }
}

ALWAYS_INLINE void forward_body(const nm_batch_node *n)
{
    for (int64_t i = 0; i < n->n; i++)
        for (int k = 0; k < V; k++) {
            int64_t at = (int64_t)n->at[i] * NM_MOST_LANES + k * NM_LANE_VECTOR;
            vector a = LOAD(n->kept + at), z = LOAD(n->z + at), up, down;
            mask above = a < (vector){0};

            up = z * LOAD(n->above + at) + LOAD(n->above_at + at);
            down = z * LOAD(n->below + at) + LOAD(n->below_at + at);
            STORE(n->x + at, WHERE(above, up) + WHERE(~above, down));
        }
}

ALWAYS_INLINE void apply_block(int w, const int32_t *rows, int64_t n_cols, const int32_t *cols,
                               const double *weights, int64_t ld, const double *from, double *to)
{
    vector sum[4][V];

    for (int r = 0; r < w; r++)
        for (int k = 0; k < V; k++)
            sum[r][k] = LOAD(to + (int64_t)rows[r] * NM_MOST_LANES + k * NM_LANE_VECTOR);
    for (int64_t c = 0; c < n_cols; c++)
        for (int r = 0; r < w; r++)
            for (int k = 0; k < V; k++)
                sum[r][k] += LOAD(from + (int64_t)cols[c] * NM_MOST_LANES + k * NM_LANE_VECTOR) *
                             weights[(int64_t)rows[r] * ld + cols[c]];
    for (int r = 0; r < w; r++)
        for (int k = 0; k < V; k++)
            STORE(to + (int64_t)rows[r] * NM_MOST_LANES + k * NM_LANE_VECTOR, sum[r][k]);
}

ALWAYS_INLINE void apply_body(int64_t n_rows, const int32_t *rows, int64_t n_cols,
                              const int32_t *cols, const double *w, int64_t ld, const double *from,
                              double *to)
{
    int64_t r = 0;

    for (; r + 4 <= n_rows; r += 4)
        apply_block(4, rows + r, n_cols, cols, w, ld, from, to);
    for (; r < n_rows; r++)
        apply_block(1, rows + r, n_cols, cols, w, ld, from, to);
}

#define BOUNDED_BELOW(a) WHERE((a) > (vector){0}, a)

/* The derivative of the bound by a lower slope is what arrives with a positive coefficient, times
   the value there; by a multiplier minus the value on the side that it pushes from. */
ALWAYS_INLINE void ascend_body(const nm_batch_step *s)
{
    for (int64_t i = 0; i < s->n; i++)
        for (int k = 0; k < V; k++) {
            int64_t at = (int64_t)s->at[i] * NM_MOST_LANES + k * NM_LANE_VECTOR;
            vector a = LOAD(s->kept + at), z = LOAD(s->z + at), sign = LOAD(s->sign + at);
            vector open = LOAD(s->open + at), one = open - open + 1, size, fade, step;
            vector g = open * BOUNDED_BELOW(a) * z - sign * z;
            vector mean = LOAD(s->mean + at) * 0.8 + g * 0.2;
            vector slope = LOAD(s->below + at), multiplier = LOAD(s->multiplier + at);

            size = g - 2 * LOW(g);
            fade = LOAD(s->largest + at) * 0.97;
            size = fade + BOUNDED_BELOW(size - fade);
            STORE(s->mean + at, mean);
            STORE(s->largest + at, size);
            step = mean / (size + 1e-30) * LOAD(s->rate + k * NM_LANE_VECTOR);
            slope += open * step;
            slope = BOUNDED_BELOW(slope);
            slope = one - BOUNDED_BELOW(one - slope);
            multiplier = BOUNDED_BELOW(multiplier + (sign * sign) * step * LOAD(s->reach + at));
            STORE(s->below + at, WHERE(open > (vector){0}, slope) +
                                     WHERE(~(open > (vector){0}), LOAD(s->below + at)));
            STORE(s->multiplier + at, multiplier);
            STORE(s->push + at, -sign * multiplier);
        }
}

#define NM_SELF "verify/batch_kernels.c"
#define NM_CLONE_WITH ",fma"
#include "tensor/clones.h"

const nm_batch_kernels *nm_batch_best_kernels(void)
{
    return NM_BEST_CLONE(kernels);
}
#endif
