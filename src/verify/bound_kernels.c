#ifdef NM_CLONE

#define NM_CLONE_ALL(v)                                                                            \
    NM_CLONE_TARGET static void NM_CLONED(times_##v)(                                              \
        int64_t n_rows, const int32_t *rows, int64_t n_cols, const int32_t *cols, const double *w, \
        int64_t ld, const double *from, double *to, bool add)                                      \
    {                                                                                              \
        times_body(v, n_rows, rows, n_cols, cols, w, ld, from, to, add);                           \
    }                                                                                              \
    NM_CLONE_TARGET static void NM_CLONED(relax_##v)(const nm_lane_lines *l, double *rows,         \
                                                     double *constant, double *lost)               \
    {                                                                                              \
        relax_body(v, l, rows, constant, lost);                                                    \
    }                                                                                              \
    NM_CLONE_TARGET static void NM_CLONED(least_##v)(                                              \
        int64_t n, const double *rows, const double *lo, const double *hi, const double *reach,    \
        double *least, double *size)                                                               \
    {                                                                                              \
        least_body(v, n, rows, lo, hi, reach, least, size);                                        \
    }

NM_CLONE_ALL(1)
NM_CLONE_ALL(2)

static const nm_lane_kernels NM_CLONED(kernels)[2] = {
    {.times = NM_CLONED(times_1), .relax = NM_CLONED(relax_1), .least = NM_CLONED(least_1)},
    {.times = NM_CLONED(times_2), .relax = NM_CLONED(relax_2), .least = NM_CLONED(least_2)}};

#undef NM_CLONE_ALL
#else

#include "verify/bound_kernels.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

typedef double vector __attribute__((vector_size(64)));
typedef int64_t mask __attribute__((vector_size(64)));

/* As it lies in memory; macros, since no function may return such a vector on older processors. */
typedef double loose __attribute__((vector_size(64), aligned(8), may_alias));

#define LOAD(from) ((vector) * (const loose *)(from))
#define STORE(to, v) (*(loose *)(to) = (loose)(v))

/* min(a, 0) and max(a, 0) - also of numbers that are none, which become high. */
#define LOW(a) ((vector)(((a) < (vector){0}) & (mask)(a)))

/* `w` columns at once. */
ALWAYS_INLINE void times_block(int v, int w, int64_t n_rows, const int32_t *rows,
                               const int32_t *cols, const double *weights, int64_t ld,
                               const double *from, double *to, bool add)
{
    vector sum[4][2];

    for (int c = 0; c < w; c++)
        for (int k = 0; k < v; k++)
            sum[c][k] = add ? LOAD(to + (cols[c] * v + k) * NM_LANE_VECTOR) : (vector){0};
    for (int64_t i = 0; i < n_rows; i++) {
        const double *row = weights + (int64_t)rows[i] * ld;
        const double *lanes = from + (int64_t)rows[i] * v * NM_LANE_VECTOR;

        for (int c = 0; c < w; c++)
            for (int k = 0; k < v; k++)
                sum[c][k] += LOAD(lanes + k * NM_LANE_VECTOR) * row[cols[c]];
    }
    for (int c = 0; c < w; c++)
        for (int k = 0; k < v; k++)
            STORE(to + (cols[c] * v + k) * NM_LANE_VECTOR, sum[c][k]);
}

ALWAYS_INLINE void times_body(int v, int64_t n_rows, const int32_t *rows, int64_t n_cols,
                              const int32_t *cols, const double *w, int64_t ld, const double *from,
                              double *to, bool add)
{
    int64_t c = 0;

    for (; c + 4 <= n_cols; c += 4)
        times_block(v, 4, n_rows, rows, cols + c, w, ld, from, to, add);
    for (; c < n_cols; c++)
        times_block(v, 1, n_rows, rows, cols + c, w, ld, from, to, add);
}

ALWAYS_INLINE void relax_body(int v, const nm_lane_lines *l, double *rows, double *constant,
                              double *lost)
{
    vector sum[2], loss[2];

    for (int k = 0; k < v; k++) {
        sum[k] = LOAD(constant + k * NM_LANE_VECTOR);
        loss[k] = LOAD(lost + k * NM_LANE_VECTOR);
    }
    for (int64_t i = 0; i < l->n; i++) {
        int64_t at = l->at[i];

        for (int k = 0; k < v; k++) {
            double *place = rows + (at * v + k) * NM_LANE_VECTOR;
            vector a = LOAD(place), low = LOW(a), high = a - low, row;

            row = high * l->below[at] + low * l->above[at];
            sum[k] += row * l->bias[at];
            sum[k] += low * l->above_at[at];
            if (l->below_at)
                sum[k] += high * l->below_at[at];
            loss[k] += (row - 2 * LOW(row)) * l->error[at];
            STORE(place, row);
        }
    }
    for (int k = 0; k < v; k++) {
        STORE(constant + k * NM_LANE_VECTOR, sum[k]);
        STORE(lost + k * NM_LANE_VECTOR, loss[k]);
    }
}

ALWAYS_INLINE void least_body(int v, int64_t n, const double *rows, const double *lo,
                              const double *hi, const double *reach, double *least, double *size)
{
    vector sum[2] = {{0}, {0}}, all[2] = {{0}, {0}};

    for (int64_t j = 0; j < n; j++)
        for (int k = 0; k < v; k++) {
            vector a = LOAD(rows + (j * v + k) * NM_LANE_VECTOR), low = LOW(a), high = a - low;

            sum[k] += high * lo[j] + low * hi[j];
            all[k] += (high - low) * reach[j];
        }
    for (int k = 0; k < v; k++) {
        STORE(least + k * NM_LANE_VECTOR, sum[k]);
        STORE(size + k * NM_LANE_VECTOR, all[k]);
    }
}

#define NM_SELF "verify/bound_kernels.c"
#define NM_CLONE_WITH ",fma"
#include "tensor/clones.h"

const nm_lane_kernels *nm_lane_best_kernels(void)
{
    return NM_BEST_CLONE(kernels);
}
#endif
