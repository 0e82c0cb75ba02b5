/* Networks, boxes and exact values for the tests of bounds and searches. */
#ifndef NM_TESTS_REGION_SUPPORT_H
#define NM_TESTS_REGION_SUPPORT_H

#include "make_net.h"
#include "netmend/net.h"
#include "verify/region.h"

/** A box around a random centre. */
static inline void make_box(nm_rng *rng, int64_t n, double radius, double *lo, double *hi)
{
    for (int64_t j = 0; j < n; j++) {
        double centre = nm_rng_normal(rng);

        lo[j] = (double)(float)(centre - radius * nm_rng_uniform(rng));
        hi[j] = (double)(float)(centre + radius * nm_rng_uniform(rng));
    }
}

/** A float32 point of the box: anywhere, or with coordinates at its ends. */
static inline void make_point(nm_rng *rng, int64_t n, const double *lo, const double *hi, double *x)
{
    bool ends = nm_rng_below(rng, 2) == 0;

    for (int64_t j = 0; j < n; j++) {
        double t = ends ? (double)nm_rng_below(rng, 2) : nm_rng_uniform(rng);

        x[j] = (double)(float)(lo[j] + t * (hi[j] - lo[j]));
        x[j] = x[j] < lo[j] ? lo[j] : x[j] > hi[j] ? hi[j] : x[j];
    }
}

/** z of all nodes in quadruple precision, from the matrices of the form: exact to 2^-110 or so. */
static inline void exact_values(const nm_vnet *v, const double *x, __float128 *z, __float128 *act)
{
    for (int64_t j = 0; j < v->nodes[0].n; j++)
        z[j] = act[j] = (__float128)x[j];
    for (int k = 1; k < v->n_nodes; k++) {
        const nm_vnode *node = &v->nodes[k];

        for (int64_t r = 0; r < node->n; r++) {
            __float128 sum = node->bias[r];

            for (int t = 0; t < node->n_maps; t++) {
                const nm_vmap *map = &node->maps[t];
                int64_t from = v->nodes[map->from].first;

                for (int64_t e = map->start[r]; e < map->start[r + 1]; e++)
                    sum += (__float128)map->w[e] * act[from + map->at[e]];
            }
            z[node->first + r] = sum;
            act[node->first + r] = node->kind == NM_VNODE_RELU && sum < 0 ? 0 : sum;
        }
    }
}

#endif
