#ifdef NM_CLONE

/* With vectors of v * 16 rows, for w outputs at once. */
#define NM_CLONE_ADD(name, v, w)                                                                   \
    NM_CLONE_TARGET static void NM_CLONED(name)(int64_t n, const int32_t *place,                   \
                                                const float *const *weights,                       \
                                                const float *const *rows, float *to)               \
    {                                                                                              \
        add_body(v, w, n, place, weights, rows, to);                                               \
    }

NM_CLONE_ADD(one_1, 1, 1)
NM_CLONE_ADD(one_2, 2, 1)
NM_CLONE_ADD(four_1, 1, 4)
NM_CLONE_ADD(four_2, 2, 4)

NM_CLONE_TARGET static void NM_CLONED(weigh)(int64_t n, int64_t width, const float *rows,
                                             const float *by, double *sum)
{
    weigh_body(n, width, rows, by, sum);
}

static const nm_rows_kernels NM_CLONED(kernels)[1] = {
    {.one = {NM_CLONED(one_1), NM_CLONED(one_2)},
     .four = {NM_CLONED(four_1), NM_CLONED(four_2)},
     .weigh = NM_CLONED(weigh)}};

#undef NM_CLONE_ADD
#else

#include "verify/rows.h"

#include <math.h>
#include <string.h>

typedef float vector __attribute__((vector_size(64)));

static inline __attribute__((always_inline)) void add_body(int v, int w, int64_t n,
                                                           const int32_t *place,
                                                           const float *const *weights,
                                                           const float *const *rows, float *to)
{
    vector row[4][2];

    for (int o = 0; o < w; o++)
        for (int k = 0; k < v; k++)
            memcpy(&row[o][k], rows[o] + k * NM_ROWS_VECTOR, sizeof(vector));
    for (int64_t i = 0; i < n; i++) {
        float *at = to + (int64_t)place[i] * v * NM_ROWS_VECTOR;

        for (int k = 0; k < v; k++) {
            vector sum = row[0][k] * weights[0][i], old;

            for (int o = 1; o < w; o++)
                sum += row[o][k] * weights[o][i];
            memcpy(&old, at + k * NM_ROWS_VECTOR, sizeof old);
            old += sum;
            memcpy(at + k * NM_ROWS_VECTOR, &old, sizeof old);
        }
    }
}

static inline __attribute__((always_inline)) void
weigh_body(int64_t n, int64_t width, const float *rows, const float *by, double *sum)
{
    for (int64_t r = 0; r < width; r += NM_ROWS_VECTOR) {
        double part[NM_ROWS_VECTOR] = {0};

        for (int64_t i = 0; i < n; i++) {
            if (nm_rows_are_zero(rows + i * width + r,
                                 NM_ROWS_VECTOR)) /* most are: rows are local */
                continue;
            for (int64_t k = 0; k < NM_ROWS_VECTOR; k++)
                part[k] += (double)fabsf(rows[i * width + r + k]) * (double)by[i];
        }
        for (int64_t k = 0; k < NM_ROWS_VECTOR; k++)
            sum[r + k] += part[k];
    }
}

#define NM_SELF "verify/rows.c"
#define NM_CLONE_WITH ""
#include "tensor/clones.h"

const nm_rows_kernels *nm_rows_best_kernels(void)
{
    return NM_BEST_CLONE(kernels);
}
#endif
