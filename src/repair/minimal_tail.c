#include "repair/minimal_tail.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "net/op.h"
#include "net/tape.h"

/* -- walking the graph ----------------------------------------------------------------------- */

/* The one operator that reads a value; -1 if there are several, or none. */
static int only_reader(const nm_net *net, int value)
{
    if (net->values[value].n_readers != 1)
        return -1;
    for (int i = 0; i < net->n_ops; i++)
        for (int k = 0; k < net->ops[i].n_in; k++)
            if (net->ops[i].in[k] == value)
                return i;
    return -1;
}

static nm_status refuse(const nm_net *net, int op, nm_err *err)
{
    return nm_fail(err, NM_E_UNSUPPORTED,
                   "method minimal: %s '%s' behind the edited layer, expected dense layers with "
                   "ReLU between them",
                   op >= 0 ? net->ops[op].kind->name : "a branch",
                   op >= 0 ? net->ops[op].name : "");
}

/* The next ReLU or dense layer behind a value; moves that keep the order are passed over. */
static int next_op(const nm_net *net, int *value)
{
    int op = only_reader(net, *value);

    while (op >= 0 && net->ops[op].kind->is_view && *value != net->scores) {
        *value = net->ops[op].out;
        op = only_reader(net, *value);
    }
    return op;
}

static bool is_dense(const nm_net *net, int op, nm_matrix_form *form)
{
    const nm_op_kind *kind = net->ops[op].kind;

    return kind == &nm_op_dense && kind->matrix_form(net, &net->ops[op], form) && form->places == 1;
}

/* Calls for every dense layer behind the edited one. */
typedef nm_status (*layer_visit)(const nm_net *net, int op, const nm_matrix_form *form, void *user,
                                 nm_err *err);

static nm_status walk(const nm_net *net, int value, layer_visit visit, void *user, nm_err *err)
{
    while (value != net->scores) {
        nm_matrix_form form;
        int op = next_op(net, &value);
        nm_status rc;

        if (value == net->scores)
            break;
        if (op < 0 || net->ops[op].kind != &nm_op_relu)
            return refuse(net, op, err);
        value = net->ops[op].out;
        op = next_op(net, &value);
        if (op < 0 || !is_dense(net, op, &form))
            return refuse(net, op, err);
        rc = visit(net, op, &form, user, err);
        if (rc != NM_OK)
            return rc;
        value = net->ops[op].out;
    }
    return NM_OK;
}

static nm_status no_visit(const nm_net *net, int op, const nm_matrix_form *form, void *user,
                          nm_err *err)
{
    (void)net, (void)op, (void)form, (void)user, (void)err;
    return NM_OK;
}

nm_status nm_min_tail_check(const nm_net *net, const nm_params *params, nm_err *err)
{
    int layer = params->blocks[0].layer, op = net->layers[layer].op;
    nm_matrix_form form;

    for (int i = 0; i < params->n_blocks; i++) {
        if (params->blocks[i].layer != layer)
            return nm_fail(err, NM_E_UNSUPPORTED,
                           "method minimal changes one layer, expected a plan of one");
        if (params->blocks[i].entry || params->moved)
            return nm_fail(err, NM_E_UNSUPPORTED,
                           "method minimal changes a whole layer, its weights or its biases; layer "
                           "%d is masked",
                           layer);
    }
    if (!is_dense(net, op, &form))
        return nm_fail(err, NM_E_UNSUPPORTED,
                       "method minimal changes dense layers; layer %d is %s '%s'", layer,
                       net->ops[op].kind->name, net->ops[op].name);
    return walk(net, net->ops[op].out, no_visit, NULL, err);
}

/* -- opening --------------------------------------------------------------------------------- */

static nm_status add_layer(const nm_net *net, int op, const nm_matrix_form *form, void *user,
                           nm_err *err)
{
    nm_min_tail *t = user;
    const nm_tensor *w = nm_op_constant(net, &net->ops[op], net->ops[op].kind->weight_in);
    const nm_tensor *b = nm_op_constant(net, &net->ops[op], net->ops[op].kind->bias_in);
    nm_min_layer *l;
    nm_status rc = NM_OK;

    NM_TRY(nm_realloc(&t->layers, (size_t)t->n_layers + 1, sizeof *t->layers, err));
    l = &t->layers[t->n_layers++];
    *l = (nm_min_layer){.n_in = form->n_in, .n_out = form->n_out};
    NM_TRY(nm_alloc(&l->w, (size_t)form->n_out, (size_t)form->n_in * sizeof *l->w, err));
    NM_TRY(nm_alloc(&l->b, (size_t)form->n_out, sizeof *l->b, err));
    for (int64_t i = 0; i < l->n_out; i++) {
        for (int64_t k = 0; k < l->n_in; k++)
            l->w[i * l->n_in + k] =
                form->alpha * w->f64[form->transposed ? k * l->n_out + i : i * l->n_in + k];
        l->b[i] = b ? form->beta * b->f64[b->size == 1 ? 0 : i] : 0;
    }
done:
    return rc;
}

/* |z0 - (alpha W a + beta b)| <= (n + 4) 2u (|alpha| |W| |a| + |beta| |b|) for sums of n terms in
   any order (twice what Higham, section 3.1, needs). */
static nm_status bound_errors(const nm_net *net, const nm_edit *e, const nm_tape *at,
                              nm_min_tail *t, nm_err *err)
{
    const nm_op *op = &net->ops[e->op];
    const nm_tensor *w = nm_op_constant(net, op, op->kind->weight_in);
    const nm_tensor *b = nm_op_constant(net, op, op->kind->bias_in);
    int64_t n_in = e->form.n_in, n_out = e->form.n_out;
    nm_status rc = nm_alloc(&t->z0_error, (size_t)t->n, (size_t)n_out * sizeof *t->z0_error, err);

    for (int64_t i = 0; rc == NM_OK && i < t->n * n_out; i++) {
        const double *a = at->val[op->in[0]] + i / n_out * n_in;
        int64_t r = i % n_out;
        double size = b ? fabs(e->form.beta * b->f64[b->size == 1 ? 0 : r]) : 0;

        for (int64_t k = 0; k < n_in; k++)
            size += fabs(e->form.alpha * a[k] *
                         w->f64[e->form.transposed ? k * n_out + r : r * n_in + k]);
        t->z0_error[i] = (double)(n_in + 4) * DBL_EPSILON * size;
    }
    return rc;
}

nm_status nm_min_tail_open(const nm_ctx *ctx, const nm_net *net, const nm_params *params,
                           const float *x, int64_t n, nm_min_tail *out, nm_err *err)
{
    nm_tail_marks marks = {0};
    nm_tape *at = NULL;
    const nm_edit *e;
    int value;
    nm_status rc = NM_OK;

    *out = (nm_min_tail){.n = n, .params = params};
    NM_TRY(nm_min_tail_check(net, params, err));
    NM_TRY(nm_tail_marks_new(net, params, &marks, err));
    NM_TRY(nm_edits_new(net, params, &marks, &out->edits, err));
    e = &out->edits->at[0];
    value = net->ops[e->op].out;
    out->width = e->width;
    out->n_edited = e->form.n_out;
    NM_TRY(nm_tape_new(net, n, NULL, &at, err));
    nm_tape_set_input(at, x);
    NM_TRY(nm_tape_forward(ctx, at, NULL, false, err));
    NM_TRY(nm_alloc(&out->u, (size_t)n, (size_t)e->width * sizeof *out->u, err));
    NM_TRY(nm_edit_see(ctx, out->edits, 0, at, 0, n, out->u, err));
    NM_TRY(nm_memdup(&out->z0, at->val[value], (size_t)(n * out->n_edited), sizeof *out->z0, err));
    NM_TRY(bound_errors(net, e, at, out, err));
    NM_TRY(walk(net, value, add_layer, out, err));
done:
    nm_tape_free(at);
    nm_tail_marks_clear(&marks);
    return rc;
}

void nm_min_tail_close(nm_min_tail *t)
{
    for (int i = 0; i < t->n_layers; i++) {
        nm_free(t->layers[i].w);
        nm_free(t->layers[i].b);
    }
    nm_free(t->layers);
    nm_edits_free(t->edits);
    nm_free(t->u);
    nm_free(t->z0);
    nm_free(t->z0_error);
    *t = (nm_min_tail){0};
}

/* -- values ---------------------------------------------------------------------------------- */

int64_t nm_min_tail_neurons(const nm_min_tail *t)
{
    int64_t n = 0, width = t->n_edited;

    for (int i = 0; i < t->n_layers; i++) {
        n += width;
        width = t->layers[i].n_out;
    }
    return n;
}

int64_t nm_min_tail_values(const nm_min_tail *t)
{
    return nm_min_tail_neurons(t) +
           (t->n_layers > 0 ? t->layers[t->n_layers - 1].n_out : t->n_edited);
}

void nm_min_tail_run(const nm_min_tail *t, const double *d, int64_t p, double *z)
{
    for (int64_t r = 0; r < t->n_edited; r++) {
        z[r] = t->z0[p * t->n_edited + r];
        for (int64_t k = 0; k < t->width; k++)
            z[r] += d[r * t->width + k] * t->u[p * t->width + k];
    }
    for (int i = 0; i < t->n_layers; i++) {
        const nm_min_layer *l = &t->layers[i];
        double *out = z + l->n_in;

        for (int64_t r = 0; r < l->n_out; r++) {
            out[r] = l->b[r];
            for (int64_t k = 0; k < l->n_in; k++)
                out[r] += l->w[r * l->n_in + k] * fmax(z[k], 0);
        }
        z = out;
    }
}
