/* What a net gave at points that it has seen, kept in float32 within a budget of memory
 * (nm_ctx_set_recall()): repairs evaluate the same points many times, in nets that differ behind
 * some layer only.
 *
 * Kept are the scores and, of the layers from the last one backwards as far as the budget goes, the
 * fewest numbers from which evaluation can go on in front of that layer. They belong to one net; of
 * another one those count that operators in front of the first difference gave
 * (net/difference.h: constants are compared). Points are known by 128 bits of strongly universal
 * hashing of their inputs with random keys (Dietzfelbinger, "Universal hashing and k-wise
 * independent random variables via integer arithmetic without primes", STACS 1996): two inputs are
 * taken for each other with probability 2^-128, whoever chose them. */
#ifndef NM_NET_RECALL_H
#define NM_NET_RECALL_H

#include "net/partial.h"

enum { NM_RECALL_MOST = 64 };

/** Of one input. */
typedef struct nm_print {
    uint64_t a, b;
} nm_print;

typedef struct nm_recall {
    nm_net *net; /* whose values are kept; shares its constants */
    size_t most_bytes;
    int kept[NM_RECALL_MOST]; /* [n_kept] values */
    int64_t offset[NM_RECALL_MOST];
    int n_kept;
    int64_t row;      /* numbers of a point */
    uint64_t *keys;   /* [4 x (n_in + 1)] */
    float **pages;    /* [n_pages] of PAGE rows each */
    nm_print *prints; /* [room] */
    uint64_t *have;   /* [room] bit i: kept[i] is known */
    int64_t *table;   /* [n_slots] index of a point, -1 = free; open addressing */
    int64_t n_pages, n_points, room, n_slots;
} nm_recall;

/** The memory of this context for this net, opened (and another net's forgotten) where needed. NULL
 *  where recalling is off, does not pay, or finds no room.
 *  @param n_same  out: operators of `net`, counted from the first, that give what they gave */
nm_recall *nm_recall_for(const nm_ctx *ctx, const nm_net *net, int *n_same);

/** Hashes an input. */
nm_print nm_recall_print(const nm_recall *r, const float *x);

/** Index of a point, -1 if it is new. */
int64_t nm_recall_find(const nm_recall *r, nm_print print);

/** The same; a new point is added if the budget allows. */
int64_t nm_recall_add(nm_recall *r, nm_print print);

/** Where kept[i] of a point lies. */
float *nm_recall_at(const nm_recall *r, int64_t point, int i);

/** nm_partial_run() with the help of what is known; what is new is kept. */
nm_status nm_recall_run(const nm_ctx *ctx, const nm_partial *partial, nm_recall *r, int n_same,
                        nm_err *err);

#endif
