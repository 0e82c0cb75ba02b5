/* Is FIXED MODEL, but for the claimed parameters, and have these changed as claimed? */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "io/onnx_model.h"
#include "io/source.h"
#include "verify/check.h"

/* -- bytes ------------------------------------------------------------------------------- */

static bool is_claimed_value(const nm_check_state *s, int value)
{
    for (int i = 0; i < s->claim->n_tensors; i++) {
        const nm_claim_tensor *t = &s->claim->tensors[i];
        const nm_layer *layer = &s->model->layers[t->layer];

        if (value == (t->bias ? layer->bias : layer->weight))
            return true;
    }
    return false;
}

/* Gives the copy of FIXED the bytes that MODEL has in the elements of one tensor. */
static void restore(const nm_file_source *model, const nm_stored *stored, unsigned char *copy)
{
    nm_wire rest = {model->file.data, stored->start, stored->end};
    nm_field run;

    while (nm_onnx_next_run(&rest, stored->field, &run))
        memcpy(copy + run.start, model->file.data + run.start, run.n_bytes);
}

/* With the claimed tensors put back, the bytes must be those of MODEL. */
static nm_status same_bytes(const nm_check_state *s, nm_err *err)
{
    const nm_file_source *model = nm_net_source(s->model, NM_FORMAT_ONNX);
    const nm_file_source *fixed = nm_net_source(s->fixed, NM_FORMAT_ONNX);
    unsigned char *copy = NULL;
    size_t n = model && fixed ? model->file.n_bytes : 0, at = 0;
    nm_status rc = NM_OK;

    if (!model || !fixed)
        return nm_fail(err, NM_E_ARG, "the two files are not both ONNX, so their bytes differ");
    if (fixed->file.n_bytes != n)
        return nm_fail(err, NM_E_ARG, "FIXED has %zu bytes, MODEL %zu", fixed->file.n_bytes, n);
    NM_TRY(nm_memdup(&copy, fixed->file.data, n, 1, err));
    for (size_t i = 0; i < model->n_stored; i++)
        if (is_claimed_value(s, model->stored[i].value))
            restore(model, &model->stored[i], copy);
    while (at < n && copy[at] == model->file.data[at])
        at++;
    if (at < n)
        rc = nm_fail(err, NM_E_ARG,
                     "byte %zu of FIXED differs from MODEL, outside the claimed parameters", at);
done:
    nm_free(copy);
    return rc;
}

/* -- graphs ------------------------------------------------------------------------------ */

static bool same_constant(const nm_tensor *a, const nm_tensor *b)
{
    return nm_shape_equal(&a->shape, &b->shape) && a->dtype == b->dtype &&
           memcmp(a->f64, b->f64, (size_t)a->size * sizeof *a->f64) == 0;
}

static bool same_value(const nm_check_state *s, int i)
{
    const nm_value *a = &s->model->values[i], *b = &s->fixed->values[i];

    if (!nm_shape_equal(&a->shape, &b->shape) || !a->constant != !b->constant)
        return false;
    return !a->constant || is_claimed_value(s, i) || same_constant(a->constant, b->constant);
}

static bool same_op(const nm_op *a, const nm_op *b)
{
    return a->kind == b->kind && a->n_in == b->n_in && a->out == b->out &&
           a->attr_bytes == b->attr_bytes &&
           memcmp(a->in, b->in, (size_t)a->n_in * sizeof *a->in) == 0 &&
           (a->attr_bytes == 0 || memcmp(a->attr, b->attr, a->attr_bytes) == 0);
}

static nm_status same_graph(const nm_check_state *s, nm_err *err)
{
    const nm_net *a = s->model, *b = s->fixed;

    if (a->n_ops != b->n_ops || a->n_values != b->n_values || a->input != b->input ||
        a->output != b->output)
        return nm_fail(err, NM_E_ARG, "FIXED has another graph than MODEL");
    for (int i = 0; i < a->n_ops; i++)
        if (!same_op(&a->ops[i], &b->ops[i]))
            return nm_fail(err, NM_E_ARG, "operator %d of FIXED is not that of MODEL", i);
    for (int i = 0; i < a->n_values; i++)
        if (!same_value(s, i))
            return nm_fail(err, NM_E_ARG,
                           "'%.40s' of FIXED is not what it is in MODEL, and no claimed parameter",
                           b->values[i].name);
    return NM_OK;
}

nm_status nm_check_same(const nm_check_state *s, bool bytes, nm_err *err)
{
    if (!s->fixed)
        return nm_fail(err, NM_E_ARG, "the claim has no repaired network");
    return bytes ? same_bytes(s, err) : same_graph(s, err);
}

/* -- the change -------------------------------------------------------------------------- */

static const char *tensor_name(const nm_claim_tensor *t)
{
    return t->bias ? "bias" : "weight";
}

/* Which entries are free, as one flag each. */
static void mark_free(const nm_claim_tensor *t, int64_t size, uint8_t *is_free)
{
    memset(is_free, t->runs == NULL, (size_t)size);
    for (int64_t i = 0; t->runs && i < t->n_runs; i++)
        memset(is_free + t->runs[2 * i], 1, (size_t)t->runs[2 * i + 1]);
}

static nm_status tensor_change(const nm_check_state *s, const nm_claim_tensor *t, uint8_t *is_free,
                               double *change, nm_err *err)
{
    const nm_tensor *old = nm_claimed_tensor(s->model, t), *new = nm_claimed_tensor(s->fixed, t);

    mark_free(t, old->size, is_free);
    for (int64_t i = 0; i < old->size; i++) {
        change[i] = new->f64[i] - old->f64[i];
        if (change[i] != 0 && !is_free[i])
            return nm_fail(err, NM_E_ARG, "layer %d: %s %lld changed, and was not free", t->layer,
                           tensor_name(t), (long long)i);
        if (!(change[i] >= s->claim->lo && change[i] <= s->claim->hi))
            return nm_fail(
                err, NM_E_ARG, "layer %d: %s %lld changed by %.9g, the bounds are %.9g to %.9g",
                t->layer, tensor_name(t), (long long)i, change[i], s->claim->lo, s->claim->hi);
    }
    return NM_OK;
}

nm_status nm_check_change(const nm_check_state *s, double *change, nm_err *err)
{
    uint8_t *is_free = NULL;
    nm_status rc = nm_alloc(&is_free, (size_t)s->n_params, 1, err);

    for (int i = 0; rc == NM_OK && i < s->claim->n_tensors; i++) {
        const nm_claim_tensor *t = &s->claim->tensors[i];

        rc = tensor_change(s, t, is_free, change, err);
        change += nm_claimed_tensor(s->model, t)->size;
    }
    nm_free(is_free);
    return rc;
}

nm_status nm_measure_architecture(const nm_check_state *s, nm_claim_statement *out, nm_err *err)
{
    double *change = NULL, squares = 0;
    nm_status rc = NM_OK;

    out->n_changed = 0;
    out->linf = out->l1 = out->l2 = 0;
    NM_TRY(nm_alloc(&change, (size_t)s->n_params, sizeof *change, err));
    NM_TRY(nm_check_change(s, change, err));
    for (int64_t i = 0; i < s->n_params; i++) {
        double v = fabs(change[i]);

        out->n_changed += v > 0;
        out->linf = fmax(out->linf, v);
        out->l1 += v;
        squares += v * v;
    }
    out->l2 = sqrt(squares);
done:
    nm_free(change);
    return rc;
}

/* Figures agree up to the order of a sum. */
static bool agree(double claimed, double found)
{
    return fabs(claimed - found) <= 1e-9 * fabs(found);
}

nm_status nm_check_architecture(const nm_check_state *s, const nm_claim_statement *claimed,
                                nm_check_statement *out, nm_err *err)
{
    nm_claim_statement found = {0};
    nm_status rc = NM_OK;

    NM_TRY(nm_check_same(s, claimed->same_bytes, err));
    NM_TRY(nm_measure_architecture(s, &found, err));
    if (found.n_changed != claimed->n_changed || !agree(claimed->linf, found.linf) ||
        !agree(claimed->l1, found.l1) || !agree(claimed->l2, found.l2))
        NM_THROW(err, NM_E_ARG,
                 "%lld parameters changed, linf %.9g, l1 %.9g, l2 %.9g; claimed are %lld, %.9g, "
                 "%.9g and %.9g",
                 (long long)found.n_changed, found.linf, found.l1, found.l2,
                 (long long)claimed->n_changed, claimed->linf, claimed->l1, claimed->l2);
    nm_confirm(out, found.n_changed,
               "%s but for %lld free parameters, changed by at most %.3g, within their bounds",
               claimed->same_bytes ? "same bytes" : "same graph", (long long)found.n_changed,
               found.linf);
done:
    return rc;
}
