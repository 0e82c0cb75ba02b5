/* What the rows of a proof may name, so that they are exact for the pieces that it is about. */
#include "net/op.h"
#include "verify/proof_job.h"

static nm_status check_label_row(const nm_proof_job *j, const nm_claim_row *row, int64_t wanted,
                                 nm_err *err)
{
    if (row->k < 0 || row->k >= j->at->values[j->at->scores].size || row->k == wanted)
        return nm_fail(err, NM_E_ARG, "a row compares class %lld with class %lld",
                       (long long)wanted, (long long)row->k);
    return NM_OK;
}

static nm_status check_pin_row(const nm_proof_job *j, const nm_claim_row *row, nm_err *err)
{
    const nm_op *op = row->op < j->at->n_ops ? &j->at->ops[row->op] : NULL;

    if (j->proof->pieces == NM_PIECES_ANY)
        return nm_fail(err, NM_E_ARG, "a row holds a piece, but the proof is for any pieces");
    if (!op || !op->kind->n_pins || row->k < 0 || row->k >= op->kind->n_pins(j->at, op))
        return nm_fail(err, NM_E_ARG, "a row holds piece %lld of operator %d, which has none such",
                       (long long)row->k, row->op);
    j->pinned[row->op] = true;
    return NM_OK;
}

nm_status nm_proof_check_rows(const nm_proof_job *j, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int64_t i = 0; rc == NM_OK && i < j->proof->n_points; i++) {
        const nm_claim_point *point = &j->proof->points[i];
        const nm_points *set = &j->s->sets[point->set];

        if (point->point >= set->n)
            return nm_fail(err, NM_E_ARG, "a row is of point %lld of the %s set, which has %lld",
                           (long long)point->point, nm_claim_sets[point->set], (long long)set->n);
        for (int64_t r = point->first; rc == NM_OK && r < point->first + point->n; r++) {
            const nm_claim_row *row = &j->proof->rows[r];

            rc = row->op < 0 ? check_label_row(j, row, set->labels[point->point], err)
                             : check_pin_row(j, row, err);
        }
    }
    return rc;
}

/* Linear operators of which vjp with magnitudes of the constants, made positive, is the adjoint
   through magnitudes: what meets in one sum has one sign. */
static bool is_known_linear(const nm_net *net, const nm_op *op)
{
    static const nm_op_kind *const known[] = {
        &nm_op_add,     &nm_op_sub,          &nm_op_neg,       &nm_op_mul,     &nm_op_div,
        &nm_op_reduce,  &nm_op_average_pool, &nm_op_identity,  &nm_op_flatten, &nm_op_reshape,
        &nm_op_squeeze, &nm_op_unsqueeze,    &nm_op_transpose, &nm_op_concat,  &nm_op_slice,
        &nm_op_gather,  &nm_op_pad,          &nm_op_expand,    &nm_op_cast};

    if (nm_op_is_smooth(net, op))
        return false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (op->kind == known[i])
            return true;
    return op->kind->weight_in > 0;
}

nm_status nm_proof_check_exact(const nm_proof_job *j, nm_err *err)
{
    if (!j->reach.behind[j->at->scores])
        return nm_fail(err, NM_E_ARG, "no claimed parameter reaches the scores");
    for (int i = 0; i < j->at->n_ops; i++) {
        const nm_op *op = &j->at->ops[i];
        bool reads_unknown = false;

        for (int k = 0; k < op->n_in; k++)
            reads_unknown = reads_unknown || (op->in[k] >= 0 && j->reach.behind[op->in[k]]);
        if (j->pinned[i] && !j->reach.behind[op->in[0]])
            return nm_fail(err, NM_E_ARG, "a row holds a piece of '%.60s', which no change reaches",
                           op->name);
        if (!j->reach.tail[i] || !reads_unknown || is_known_linear(j->at, op))
            continue;
        if (!op->kind->n_pins)
            return nm_fail(err, NM_E_UNSUPPORTED,
                           "%s '%.60s' behind the edited layer has no exact "
                           "rows",
                           op->kind->name, op->name);
        if (j->proof->pieces == NM_PIECES_ANY)
            return nm_fail(err, NM_E_ARG,
                           "%s '%.60s' behind the edited layer has pieces, and the "
                           "proof is for any",
                           op->kind->name, op->name);
    }
    return NM_OK;
}

nm_status nm_proof_check_tensors(const nm_proof_job *j, nm_err *err)
{
    for (int i = 0; i < j->s->claim->n_tensors; i++) {
        const nm_claim_tensor *t = &j->s->claim->tensors[i];
        const nm_op *op = &j->at->ops[j->at->layers[t->layer].op];

        if (!t->bias && j->reach.behind[op->in[0]])
            return nm_fail(err, NM_E_ARG, "weights of layer %d are free behind another free layer",
                           t->layer);
        if (!t->bias && op->kind == &nm_op_batch_norm)
            return nm_fail(err, NM_E_UNSUPPORTED,
                           "rows of batch normalisation scales have no rounding bound here");
    }
    return NM_OK;
}
