/* The inside of the neuron search (search_neuron.c): parts of a region, and the lanes that bound
 * them. */
#ifndef NM_VERIFY_PARTS_H
#define NM_VERIFY_PARTS_H

#include <omp.h>

#include "verify/batch.h"
#include "verify/region.h"
#include "verify/tighten.h"

enum { NM_CANDIDATES = NM_MOST_LANES / 2 /* neurons that are tried before a split */ };

typedef struct nm_part_split {
    int32_t neuron;
    bool active;
    float multiplier, reach; /* reach 0 = not known yet */
} nm_part_split;

/** A case, and the signs of some neurons. */
typedef struct nm_part {
    int c;
    int n_splits;
    double bound;          /* known already */
    double volume;         /* share of the whole */
    int64_t node;          /* in nm_parts.nodes, if proofs are kept */
    nm_part_split *splits; /* [n_splits] */
    float *slope;          /* [n_open] lower slopes of the open neurons */
    float *weight;         /* [rows of the case] */
} nm_part;

/** A part of the region whose neurons were bounded for it; parts within it add splits of their own.
 */
typedef struct nm_scope {
    int n_literals;
    nm_literal *literals;
    double *lo, *hi; /* [n_neurons] */
    bool *open;      /* [n_cases] */
    double volume;
} nm_scope;

/** What became of a part, for the proof. */
typedef struct nm_part_node {
    int32_t neuron;       /* >= 0: it was split; -1: closed; -2: not yet */
    int64_t child;        /* z <= 0; z >= 0 is the next one */
    float *floats;        /* of a leaf: weights, multipliers; one block with ... */
    unsigned char *bytes; /* ... [n_open] slopes */
    int32_t n_floats;
} nm_part_node;

/** What the threads share while they work on one scope. */
typedef struct nm_parts {
    nm_ctx *ctx;
    const nm_region *region;
    const nm_search_opts *opts;
    const nm_bounder *root; /* the scope's lines */
    int32_t *open;          /* [n_open] neurons that are open in the scope */
    int64_t n_open;
    nm_part **stack;
    int64_t n_stack, room;
    int n_busy;           /* lanes with work */
    int64_t *n_parts;     /* [n_cases] that are not closed */
    int32_t *first_split; /* [n_cases] what the whole scope was split by, -1 = it was not */
    double *first_bound;  /* [n_cases] the whole scope's */
    int worst_case;       /* of these, -1 = none yet; and what its row has on each neuron: */
    double *importance;   /* [n_neurons] */
    double *case_least;   /* [n_cases] least bound by which parts were closed */
    int64_t n_passes, most_passes;
    int64_t longest_passes; /* while it looks as if that were enough for the whole scope */
    int64_t n_nodes;        /* parts bounded, in all scopes */
    double worst;           /* bound of parts that nothing could be done about */
    int64_t n_stuck;
    nm_part_node *nodes; /* [n_nodes_kept] of this scope; NULL unless opts->keep_tree */
    int64_t n_nodes_kept, room_nodes;
    int64_t *root_node;                         /* [n_cases] */
    double proved_before, proved, scope_volume; /* before this scope, in it; its open cases */
    bool stop, found, spent;
    nm_status rc;
    nm_err *err;
    omp_lock_t lock;
} nm_parts;

/** A part with room for splits, slopes and weights; NULL when memory ran out. Free with nm_free().
 */
nm_part *nm_part_new(const nm_parts *s, int c, int n_splits);

/** Room for n nodes in a row that nothing is known of; -1 when memory ran out, 0 if none are kept.
 */
int64_t nm_parts_nodes(nm_parts *s, int n);

/** Forgets all nodes. */
void nm_parts_clear_nodes(nm_parts *s);

/** Puts a part on the stack. */
bool nm_parts_push(nm_parts *s, nm_part *p);

/** Stops all threads with a status; the first one counts. */
void nm_parts_fail(nm_parts *s, nm_status rc);

/** Works until the stack is empty and nobody has work, or until stop. One call in each thread. */
void nm_parts_run(nm_parts *s);

/* -- splits (branch.c) --------------------------------------------------------------------- */

typedef struct nm_candidates {
    int n;
    int32_t neuron[NM_CANDIDATES];
    double score[NM_CANDIDATES], reach[NM_CANDIDATES];
} nm_candidates;

/** Neurons by which a lane may be split: half of them by what the lines lose at the minimising
 *  input, half by what they may lose anywhere. After both passes of the batch. */
void nm_branch_candidates(const nm_parts *s, const nm_batch *b, int lane, nm_candidates *to);

/** |coefficients| of a lane's row on the x of all neurons. After a pass back.
 *  @param importance  out, [n_neurons] */
void nm_branch_importance(const nm_batch *b, int lane, double *importance);

/** The neuron by which a scope is best split, so that bounding others anew pays: what its lines may
 *  lose in the bounds of the neurons behind it, by their importance, and in the worst case's row.
 *  -1 = no neuron has any behind it.
 *  @param batch  of the scope's lines; overwritten */
int32_t nm_branch_scope(const nm_parts *s, const nm_scope *scope, nm_batch *batch);

/** Bounds both children of all candidates, and returns the best one.
 *  @param off, on  out, the bounds of its children */
int nm_branch_probe(nm_batch *probe, const nm_batch *b, int lane, const nm_candidates *c,
                    double *off, double *on);

#endif
