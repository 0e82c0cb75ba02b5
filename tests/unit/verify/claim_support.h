/* What tests of the checker share: its state made from a problem, without files. */
#ifndef NM_TESTS_CLAIM_SUPPORT_H
#define NM_TESTS_CLAIM_SUPPORT_H

#include "../problem/problem_support.h"

#include "verify/proof.h"

/** Everything that linear pieces can be made of, and four classes. */
static inline nm_net *make_pieces(uint64_t seed)
{
    net_maker m = make_net(seed, MAKE_SHAPE(1, 2, 8, 8));
    nm_attr_value alpha = {.name = "alpha", .type = NM_ATTR_FLOAT, .f = 0.1};
    int skip;

    make_conv(&m, 4, 3, 1);
    make_batch_norm(&m, 0.5);
    make_unary(&m, "Relu");
    make_pool(&m, "MaxPool");
    skip = m.at;
    make_conv(&m, 4, 3, 1);
    make_op(&m, "LeakyRelu", &m.at, 1, &alpha, 1);
    make_op(&m, "Sub", (int[]){m.at, skip}, 2, NULL, 0);
    make_op(&m, "Mul", (int[]){m.at, make_constant(&m, MAKE_SHAPE(4, 1, 1), 0, 1)}, 2, NULL, 0);
    make_unary(&m, "Neg");
    make_op(&m, "Clip",
            (int[]){m.at, make_constant(&m, (nm_shape){0}, -0.5, 0),
                    make_constant(&m, (nm_shape){0}, 2, 0)},
            3, NULL, 0);
    make_pool(&m, "AveragePool");
    make_unary(&m, "Flatten");
    make_dense(&m, 6);
    make_unary(&m, "Relu");
    make_dense(&m, 4);
    return make_done(&m);
}

/** The checker's view of a problem: FIXED is the net at the tail's change; the first n_pinned
 * points are the repair set, the others the keep set. Lends from the problem. */
typedef struct checked {
    nm_claim claim;
    nm_check_state state;
} checked;

static inline void free_checked(checked *c)
{
    for (int i = 0; i < c->claim.n_tensors; i++)
        free(c->claim.tensors[i].runs);
    free(c->claim.tensors);
}

static inline void open_checked(const problem *p, checked *c)
{
    int64_t n = p->demand.n_pinned;

    *c = (checked){.claim = {.lo = -INFINITY, .hi = INFINITY}};
    c->state.claim = &c->claim;
    c->claim.tensors = calloc((size_t)p->params->n_blocks, sizeof *c->claim.tensors);
    for (int i = 0; i < p->params->n_blocks; i++) {
        const nm_param_block *block = &p->params->blocks[i];
        nm_claim_tensor *t = &c->claim.tensors[c->claim.n_tensors++];

        *t = (nm_claim_tensor){.layer = block->layer, .bias = block->bias};
        c->state.n_params += nm_block_tensor_size(p->net, block);
        if (!block->entry)
            continue;
        t->runs = calloc((size_t)block->n, 2 * sizeof *t->runs);
        for (t->n_runs = 0; t->n_runs < block->n; t->n_runs++) {
            t->runs[2 * t->n_runs] = block->entry[t->n_runs];
            t->runs[2 * t->n_runs + 1] = 1;
        }
    }
    c->state.ctx = ctx;
    c->state.model = p->net;
    c->state.fixed = p->tail->net;
    c->state.sets[NM_SET_REPAIR] =
        (nm_points){.n = n, .n_in = p->n_in, .x = p->x, .labels = p->demand.target};
    c->state.sets[NM_SET_KEEP] = (nm_points){
        .n = p->n - n, .n_in = p->n_in, .x = p->x + n * p->n_in, .labels = p->demand.target + n};
}

/** A row of every point for each of the problem's constraint rows, multipliers as given. */
static inline nm_claim_proof make_proof(const problem *p, nm_claim_pieces pieces, const double *y)
{
    nm_claim_proof proof = {.pieces = pieces};

    proof.points = calloc(MAX_ROWS, sizeof *proof.points);
    proof.rows = calloc(MAX_ROWS, sizeof *proof.rows);
    for (int64_t r = 0; r < p->n_rows; r++) {
        const nm_row_id *row = &p->rows[r];
        bool keep = row->point >= p->demand.n_pinned;

        if (row->kind == NM_ROW_OUTPUT)
            continue;
        proof.points[proof.n_points++] =
            (nm_claim_point){.set = keep ? NM_SET_KEEP : NM_SET_REPAIR,
                             .point = row->point - (keep ? p->demand.n_pinned : 0),
                             .margin = p->demand.margin[row->point],
                             .first = proof.n_rows,
                             .n = 1};
        proof.rows[proof.n_rows++] =
            (nm_claim_row){.op = row->kind == NM_ROW_PIN ? row->op : -1, .k = row->k, .y = y[r]};
    }
    return proof;
}

static inline void free_proof(nm_claim_proof *proof)
{
    free(proof->points);
    free(proof->rows);
}

#endif
