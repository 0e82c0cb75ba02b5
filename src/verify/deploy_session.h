/* What is kept of all points of a session, shared by the parts of deploy.h. */
#ifndef NM_VERIFY_DEPLOY_SESSION_H
#define NM_VERIFY_DEPLOY_SESSION_H

#include "base/store.h"
#include "verify/deploy_block.h"

/* What the operators before the first edited one give for a block of points. */
typedef struct nm_record {
    nm_arena arena;    /* over the room */
    const void *room;  /* in the session's store */
    nm_linear *points; /* [n]; NULL = not kept, to be computed each time */
    double **val;      /* [n_values] [n x size] those that later operators need */
    double **radius;
    double **source[NM_N_MODELS]; /* only of what a fused layer reads */
    bool *infinite;               /* [NM_N_MODELS][n] */
} nm_record;

/* Memory that a thread uses for one block after the other. */
typedef struct nm_room {
    nm_arena rows, scratch, carried;
} nm_room;

struct nm_deploy_session {
    const nm_ctx *ctx;
    const nm_net *net;
    const float *x;
    const int64_t *target;
    int64_t n;
    int first; /* first edited operator */
    bool plain;
    nm_linear_plan *plan;
    nm_linear_net weights; /* of the session's net */
    bool *cut;             /* [n_values] kept in records */
    nm_record *records;    /* [n_blocks] */
    nm_store *store;       /* rooms of records */
    nm_room *rooms;        /* [n_rooms] one for each thread */
    int n_rooms;
};

/** Marks in s->cut what operators from s->first on need of the values before, and what rows need on
 *  their way. */
nm_status nm_record_find_cut(nm_deploy_session *s, nm_err *err);

/** Keeps what was found of the operators before s->first; where there is no room the record stays
 *  empty. False when memory ran out. */
bool nm_record_keep(nm_block *b, nm_record *record);

#endif
