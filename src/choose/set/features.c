/* Where the points of a pool are compared. */
#include <string.h>

#include "base/mem.h"
#include "choose/layer_values.h"
#include "choose/set/set.h"

const char *const nm_set_of_words[] = {"all", "misclassified", NULL};
const char *const nm_set_space_words[] = {"penultimate", "input", NULL};

nm_status nm_set_candidates(const nm_set_job *job, bool misclassified, int64_t most, int64_t **out,
                            int64_t *n, nm_err *err)
{
    int64_t found = 0;
    nm_status rc = nm_alloc(out, (size_t)job->pool->n, sizeof **out, err);

    *n = 0;
    if (rc != NM_OK)
        return rc;
    for (int64_t p = 0; p < job->pool->n; p++)
        if (!misclassified || job->facts[p].predicted != job->facts[p].label)
            (*out)[found++] = p;
    *n = found < most ? found : most;
    for (int64_t i = 0; i < *n; i++)
        (*out)[i] = (*out)[i * found / *n];
    return NM_OK;
}

static int space_value(const nm_net *net, int space)
{
    int last = nm_last_layer(net);

    if (space == NM_SPACE_INPUT || last < 0)
        return net->input;
    return net->ops[net->layers[last].op].in[0];
}

nm_status nm_set_features(const nm_set_job *job, int space, const int64_t *points, int64_t n,
                          double **out, int64_t *width, nm_err *err)
{
    int value = space_value(job->net, space);
    nm_points subset = {0};
    float *at = NULL;
    nm_status rc = NM_OK;

    *width = job->net->values[value].size;
    *out = NULL;
    NM_TRY(nm_points_subset(job->pool, points, n, &subset, err));
    NM_TRY(nm_value_at(job->ctx, job->net, subset.x, n, value, &at, err));
    NM_TRY(nm_alloc(out, (size_t)n, (size_t)*width * sizeof **out, err));
    for (int64_t i = 0; i < n * *width; i++)
        (*out)[i] = (double)at[i];
done:
    nm_points_free(&subset);
    nm_free(at);
    return rc;
}

double nm_set_distance2(const double *a, const double *b, int64_t width)
{
    double sum = 0;

    for (int64_t i = 0; i < width; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}
