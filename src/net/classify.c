#include "net/classify.h"

#include <math.h>
#include <stddef.h>

int64_t nm_argmax(const double *scores, int64_t n)
{
    int64_t best = 0;

    for (int64_t i = 1; i < n; i++)
        if (scores[i] > scores[best])
            best = i;
    return best;
}

double nm_cross_entropy(const double *scores, int64_t n, int64_t label, double *gradient)
{
    /* Relative to the largest score every power is at most 1 and one of them is 1. */
    double largest = scores[nm_argmax(scores, n)];
    double behind = largest - scores[label];
    double sum = 0.0;

    for (int64_t i = 0; i < n; i++)
        sum += exp(scores[i] - largest);
    if (gradient) {
        for (int64_t i = 0; i < n; i++)
            gradient[i] = exp(scores[i] - largest) / sum;
        gradient[label] -= 1.0;
    }
    return behind + log(sum);
}
