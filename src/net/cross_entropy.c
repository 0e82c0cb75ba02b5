#include "net/cross_entropy.h"

#include <math.h>
#include <stddef.h>

double nm_cross_entropy(const double *scores, int64_t n, int64_t label, double *gradient)
{
    /* Relative to the largest score every power is at most 1 and one of them is 1. */
    double top = scores[0], sum = 0.0;

    for (int64_t i = 1; i < n; i++)
        if (scores[i] > top)
            top = scores[i];
    for (int64_t i = 0; i < n; i++)
        sum += exp(scores[i] - top);

    double loss = log(sum) + (top - scores[label]);

    if (gradient) {
        for (int64_t i = 0; i < n; i++)
            gradient[i] = exp(scores[i] - top) / sum;
        gradient[label] -= 1.0;
    }
    return loss;
}
