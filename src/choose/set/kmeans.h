/* The steps of k-means (Lloyd 1982): what ClusteringBased and its published version share. */
#ifndef NM_CHOOSE_SET_KMEANS_H
#define NM_CHOOSE_SET_KMEANS_H

#include "choose/set/set.h"

typedef struct nm_kmeans {
    double *x;        /* [n x width] */
    double *centre;   /* [k x width] */
    double *distance; /* [n] squared, to the nearest centre */
    int64_t *member;  /* [n] of which cluster */
    bool *taken;      /* [n] by nm_kmeans_take() */
    int64_t n, width, k;
} nm_kmeans;

/** Features of points[n] and room for k centres. Free with nm_kmeans_clear(), also after a failure.
 */
nm_status nm_kmeans_open(const nm_set_job *job, int space, const int64_t *points, int64_t n,
                         int64_t k, nm_kmeans *out, nm_err *err);
void nm_kmeans_clear(nm_kmeans *c);

/** Puts centre j where point i is. */
void nm_kmeans_place(nm_kmeans *c, int64_t j, int64_t i);

/** Gives each point to the nearest of the first n_centres, of equal ones the first.
 *  @return sum of the squared distances */
double nm_kmeans_assign(nm_kmeans *c, int64_t n_centres);

/** Moves centres to the means of their members; one without any stays. */
void nm_kmeans_move(nm_kmeans *c);

/** Adds the nearest member of a cluster that is not taken yet, scored by its distance.
 *  @return false if there is none */
bool nm_kmeans_take(nm_kmeans *c, const int64_t *points, int64_t cluster, nm_selection *out);

#endif
