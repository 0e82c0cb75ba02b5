#include "train/adam.h"

#include <math.h>

#include "base/mem.h"

static const double BETA1 = 0.9, BETA2 = 0.999, EPSILON = 1e-8; /* the paper's recommendation */

nm_status nm_adam_init(nm_adam *adam, int64_t n, double learning_rate, nm_err *err)
{
    nm_status rc;

    *adam = (nm_adam){.learning_rate = learning_rate, .n = n};
    rc = nm_alloc(&adam->mean, (size_t)n, sizeof *adam->mean, err);
    if (rc == NM_OK)
        rc = nm_alloc(&adam->square, (size_t)n, sizeof *adam->square, err);
    return rc;
}

void nm_adam_clear(nm_adam *adam)
{
    nm_free(adam->mean);
    nm_free(adam->square);
}

void nm_adam_step(nm_adam *adam, double *theta, const double *gradient)
{
    adam->t++;

    /* Both running means start at zero; these factors take that bias out again. */
    double mean_scale = 1.0 / (1.0 - pow(BETA1, (double)adam->t));
    double square_scale = 1.0 / (1.0 - pow(BETA2, (double)adam->t));

    for (int64_t i = 0; i < adam->n; i++) {
        double g = gradient[i];
        double m = adam->mean[i] = BETA1 * adam->mean[i] + (1.0 - BETA1) * g;
        double v = adam->square[i] = BETA2 * adam->square[i] + (1.0 - BETA2) * g * g;

        theta[i] -= adam->learning_rate * m * mean_scale / (sqrt(v * square_scale) + EPSILON);
    }
}
