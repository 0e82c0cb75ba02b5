/* The inside of nm_check_neuron_proof(): reading the streams of a proof (region_proof.h), and
 * tasks, which are bounded many at a time. */
#ifndef NM_VERIFY_CHECK_SIGNS_H
#define NM_VERIFY_CHECK_SIGNS_H

#include "verify/check_bound.h"
#include "verify/region_proof.h"

enum { NM_MOST_SIGNS = 2000 };

typedef struct nm_sign {
    int32_t neuron;
    bool active;
} nm_sign;

/* A line to be bounded: of a neuron, or a leaf of a case. */
typedef struct nm_sign_task {
    int64_t neuron; /* -1: a leaf */
    int side;
    int64_t c; /* case of a leaf */
    int64_t first_float, first_byte;
    int n_literals;
    int64_t first_literal; /* in the list of all tasks' literals */
    bool closed;           /* a leaf's bound is > 0 */
    double least;
} nm_sign_task;

/* What threads work with. */
typedef struct nm_sign_hand {
    nm_check_bounds bounds;
    double *slope, *coef;
    nm_arena arena;
} nm_sign_hand;

typedef struct nm_sign_check {
    nm_ctx *ctx;
    const nm_check_chain *chain;
    const nm_property *property;
    const nm_in_box *box;
    const nm_region_proof *proof;
    int64_t at_int, at_float, at_byte; /* read so far */
    double *lo, *hi;                   /* [n_neurons] of the present scope */
    int32_t *open;                     /* [n_open] of it */
    int64_t n_open;
    nm_sign path[NM_MOST_SIGNS];
    nm_sign_task *tasks;
    int64_t n_tasks, room_tasks;
    nm_sign *literals; /* of the tasks, one after the other */
    int64_t n_literals, room_literals;
    nm_sign_hand *hands; /* of each thread */
    int n_hands;
} nm_sign_check;

/** NM_E_ARG, with where in the proof and why. */
nm_status nm_signs_refuse(const nm_sign_check *c, nm_err *err, const char *why);

/** The next number, which has to be lo to hi. */
nm_status nm_signs_int(nm_sign_check *c, int64_t lo, int64_t hi, int64_t *out, nm_err *err);

/** Passes n floats, which are to be finite and >= 0, and so many bytes. */
nm_status nm_signs_pass(nm_sign_check *c, int64_t n_floats, int64_t n_bytes, nm_err *err);

/** The list of neurons that are open in a scope, ascending. */
nm_status nm_signs_open(nm_sign_check *c, nm_err *err);

/** Neurons in front of the last layer. */
int64_t nm_signs_n_hidden(const nm_sign_check *c);

/** Puts a task on the list, with the first n_path signs of c->path. */
nm_status nm_signs_add(nm_sign_check *c, nm_sign_task t, int n_path, nm_err *err);

/** Runs tasks first .. n_tasks - 1, of neurons of a layer that begins at `layer`, or leaves. */
void nm_signs_run(nm_sign_check *c, int64_t first, int64_t layer);

#endif
