#include "problem/edit.h"

#include "base/mem.h"

/* -- which layers ------------------------------------------------------------------------ */

static nm_edit *edit_of_layer(nm_edits *edits, int layer)
{
    for (int b = 0; b < edits->n; b++)
        if (edits->at[b].layer == layer)
            return &edits->at[b];
    edits->at[edits->n] =
        (nm_edit){.layer = layer, .op = edits->net->layers[layer].op, .weight = -1, .bias = -1};
    return &edits->at[edits->n++];
}

static bool has_form(const nm_edits *edits, nm_edit *edit)
{
    const nm_op *op = &edits->net->ops[edit->op];

    return op->kind->matrix_form && op->kind->matrix_form(edits->net, op, &edit->form);
}

nm_status nm_edits_new(const nm_net *net, const nm_params *params, const nm_tail_marks *marks,
                       nm_edits **out, nm_err *err)
{
    nm_edits *edits = NULL;
    bool ok = true;
    nm_status rc = NM_OK;

    *out = NULL;
    NM_TRY(nm_alloc(&edits, 1, sizeof *edits, err));
    *edits = (nm_edits){.net = net, .params = params};
    NM_TRY(nm_alloc(&edits->at, (size_t)params->n_blocks, sizeof *edits->at, err));
    for (int i = 0; i < params->n_blocks; i++) {
        nm_edit *edit = edit_of_layer(edits, params->blocks[i].layer);

        *(params->blocks[i].bias ? &edit->bias : &edit->weight) = i;
        ok = ok && !params->blocks[i].entry;
    }
    for (int b = 0; b < edits->n; b++) {
        nm_edit *edit = &edits->at[b];

        ok = ok && has_form(edits, edit);
        edit->width = (edit->weight >= 0 ? edit->form.n_in : 0) + (edit->bias >= 0);
        edit->fixed_input = marks->frontier[net->ops[edit->op].in[0]];
    }
    if (ok) {
        *out = edits;
        edits = NULL;
    }
done:
    nm_edits_free(edits);
    return rc;
}

void nm_edits_free(nm_edits *edits)
{
    if (!edits)
        return;
    nm_free(edits->at);
    nm_free(edits);
}

int64_t nm_edit_seen(const nm_edit *edit)
{
    return edit->form.places * edit->width;
}

int64_t nm_edit_emitted(const nm_edit *edit)
{
    return edit->form.places * edit->form.n_out;
}

/* -- from and to tapes ------------------------------------------------------------------- */

struct job {
    const nm_edits *edits;
    int b;
    const double *from; /* of the layer's input or output */
    double *to;
};

static nm_exec exec_of(const struct job *j, int64_t n, nm_arena *arena)
{
    return (nm_exec){.net = j->edits->net,
                     .op = &j->edits->net->ops[j->edits->at[j->b].op],
                     .n = n,
                     .arena = arena};
}

static nm_status see_block(void *user, int64_t first, int64_t n, nm_arena *arena)
{
    const struct job *j = user;
    const nm_edit *edit = &j->edits->at[j->b];
    nm_exec ex = exec_of(j, n, arena);
    int64_t size = ex.net->values[ex.op->in[0]].size, n_in = edit->form.n_in;
    int64_t n_weights = edit->weight >= 0 ? n_in : 0, rows = n * edit->form.places;
    double *to = j->to + first * nm_edit_seen(edit);
    double *u = nm_arena_take(arena, (size_t)(rows * n_in), sizeof *u);

    if (!u)
        return NM_E_NOMEM;
    if (n_weights > 0)
        ex.op->kind->see(&ex, j->from + first * size, u);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t k = 0; k < n_weights; k++)
            to[r * edit->width + k] = edit->form.alpha * u[r * n_in + k];
        if (edit->bias >= 0)
            to[r * edit->width + n_weights] = edit->form.beta;
    }
    return NM_OK;
}

nm_status nm_edit_see(const nm_ctx *ctx, const nm_edits *edits, int b, const nm_tape *at,
                      int64_t first, int64_t n, double *u, nm_err *err)
{
    int v = edits->net->ops[edits->at[b].op].in[0];
    struct job job = {
        .edits = edits, .b = b, .from = at->val[v] + first * edits->net->values[v].size, .to = u};

    return nm_blocks_run(ctx, n, nm_pass_block(edits->net), see_block, &job, err);
}

static nm_status emit_block(void *user, int64_t first, int64_t n, nm_arena *arena)
{
    const struct job *j = user;
    const nm_edit *edit = &j->edits->at[j->b];
    nm_exec ex = exec_of(j, n, arena);

    ex.op->kind->at_places(&ex, j->from + first * ex.net->values[ex.op->out].size,
                           j->to + first * nm_edit_emitted(edit));
    return NM_OK;
}

nm_status nm_edit_emit(const nm_ctx *ctx, const nm_edits *edits, int b, const nm_tape *adjoint,
                       int64_t n, double *g, nm_err *err)
{
    struct job job = {.edits = edits,
                      .b = b,
                      .from = adjoint->val[edits->net->ops[edits->at[b].op].out],
                      .to = g};

    return nm_blocks_run(ctx, n, nm_pass_block(edits->net), emit_block, &job, err);
}

/* -- from and to the vector of unknowns --------------------------------------------------- */

/* Where entry (i, k) of D lies in d. */
static int64_t place_of(const nm_edits *edits, const nm_edit *edit, int64_t i, int64_t k)
{
    const nm_param_block *blocks = edits->params->blocks;

    if (edit->weight < 0 || k == edit->form.n_in)
        return blocks[edit->bias].first + i;
    return blocks[edit->weight].first +
           (edit->form.transposed ? k * edit->form.n_out + i : i * edit->form.n_in + k);
}

void nm_edit_from_params(const nm_edits *edits, int b, const double *d, double *matrix)
{
    const nm_edit *edit = &edits->at[b];

    for (int64_t i = 0; i < edit->form.n_out; i++)
        for (int64_t k = 0; k < edit->width; k++)
            matrix[i * edit->width + k] = d[place_of(edits, edit, i, k)];
}

void nm_edit_to_params(const nm_edits *edits, int b, const double *matrix, double *d)
{
    const nm_edit *edit = &edits->at[b];

    for (int64_t i = 0; i < edit->form.n_out; i++)
        for (int64_t k = 0; k < edit->width; k++)
            d[place_of(edits, edit, i, k)] = matrix[i * edit->width + k];
}
