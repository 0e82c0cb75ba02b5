/* Adam: gradient descent with a step size of its own for every parameter.
   Source: Kingma & Ba, "Adam: a method for stochastic optimization" (ICLR 2015), Algorithm 1. */
#ifndef NM_TRAIN_ADAM_H
#define NM_TRAIN_ADAM_H

#include "base/err.h"

typedef struct nm_adam {
    double learning_rate; /* alpha of the paper */
    int64_t n;            /* parameters */
    int64_t t;            /* steps taken */
    double *mean;         /* m [n], running mean of the gradient */
    double *square;       /* v [n], running mean of its squares */
} nm_adam;

/** Ready for the first step; free with nm_adam_clear() (also after failure). */
nm_status nm_adam_init(nm_adam *adam, int64_t n, double learning_rate, nm_err *err);
void nm_adam_clear(nm_adam *adam);

/** One step: changes theta [n] along its gradient [n]. */
void nm_adam_step(nm_adam *adam, double *theta, const double *gradient);

#endif
