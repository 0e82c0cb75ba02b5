/* A repair of a few points in one layer, as a trial: what it does to other points. */
#ifndef NM_CHOOSE_TRIAL_H
#define NM_CHOOSE_TRIAL_H

#include "base/ctx.h"
#include "net/graph.h"
#include "netmend/repair.h"

/** What is tried; everything is lent. */
typedef struct nm_trial {
    const nm_net *net;
    nm_free_kind what; /* of a layer is free */
    double lo, hi;     /* bounds on the change of each parameter */
    const nm_repair_opts *opts;
    const float *x;        /* [n x n_in] points to repair */
    const int64_t *target; /* [n] */
    int64_t n;
    double margin;          /* asked of each */
    const float *reference; /* [n_reference x n_in] of the function norm */
    int64_t n_reference;
    const float *measured;   /* [n_measured x n_in] the other points */
    const int64_t *labels;   /* [n_measured], NULL: not known */
    int64_t n_measured;
} nm_trial;

typedef struct nm_trial_result {
    bool found;   /* a change that makes all points right */
    double kl;    /* mean divergence KL(before || after) of the softmax of the scores, in nats; NAN
                     without a change */
    int64_t lost; /* points that were right and are not; without labels: whose class changed */
    double seconds;
} nm_trial_result;

/** Repairs in memory, in double, without judging; measures in float32. */
nm_status nm_trial_run(const nm_ctx *ctx, const nm_trial *trial, int layer, nm_trial_result *out,
                       nm_err *err);

/** KL(softmax(a) || softmax(b)), [n] scores each. */
double nm_score_divergence(const float *a, const float *b, int64_t n);

#endif
