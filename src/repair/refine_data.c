#include "repair/refine_data.h"

#include <cblas.h>

#include "base/mem.h"
#include "problem/augment.h"

/* Inputs are kept only where the tail reads them. */
static nm_status open_copy(const nm_search *s, nm_refine_data *data, int k, nm_err *err)
{
    const nm_value *input = &s->net->values[s->net->input];
    size_t size = (size_t)input->size * sizeof(float);
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&data->x[k], (size_t)s->crowd->n, size, err));
    nm_augment(&input->shape, s->crowd->x, s->crowd->n, s->opts->seed, (uint64_t)k, data->x[k]);
    NM_TRY(nm_crowd_new(s->ctx, s->net, s->params, data->x[k], s->crowd->n, &data->crowd[k], err));
    if (!data->crowd[k]->marks.frontier[s->net->input]) {
        nm_free(data->x[k]);
        data->x[k] = NULL;
    }
done:
    return rc;
}

nm_status nm_refine_data_open(const nm_search *s, int copies, const nm_drift_opts *opts,
                              nm_refine_data *data, nm_err *err)
{
    nm_status rc = NM_OK;

    *data = (nm_refine_data){.n = 1 + copies};
    NM_TRY(nm_alloc(&data->gradient, (size_t)s->params->n, sizeof *data->gradient, err));
    for (int k = 0; k <= copies; k++) {
        if (k > 0)
            NM_TRY(open_copy(s, data, k, err));
        NM_TRY(nm_drift_new(s->ctx, s->edits, k > 0 ? data->crowd[k] : s->crowd, opts,
                            &data->drift[k], err));
    }
done:
    return rc;
}

void nm_refine_data_close(nm_refine_data *data)
{
    for (int k = 0; k < data->n; k++) {
        nm_drift_free(data->drift[k]);
        nm_crowd_free(data->crowd[k]);
        nm_free(data->x[k]);
    }
    nm_free(data->gradient);
}

nm_status nm_refine_data_at(nm_refine_data *data, int64_t n_params, const double *d,
                            nm_drift_value *value, double *gradient, nm_err *err)
{
    nm_status rc = nm_drift_at(data->drift[0], d, value, gradient, err);

    for (int k = 1; rc == NM_OK && k < data->n; k++) {
        nm_drift_value one;

        NM_TRY(nm_drift_at(data->drift[k], d, &one, gradient ? data->gradient : NULL, err));
        value->drift += one.drift;
        value->loss += one.loss;
        if (gradient)
            cblas_daxpy((int)n_params, 1, data->gradient, 1, gradient, 1);
    }
    value->drift /= data->n;
    value->loss /= data->n;
    if (gradient)
        cblas_dscal((int)n_params, 1.0 / data->n, gradient, 1);
done:
    return rc;
}
