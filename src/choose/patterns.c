#include "choose/patterns.h"

#include <stdlib.h>

#include "base/mem.h"
#include "net/op.h"
#include "net/tape.h"

enum { BLOCK = 32 };

static bool has_pieces(const nm_net *net, const nm_op *op)
{
    return op->kind->n_pins && op->kind->pin && op->kind->n_pins(net, op) > 0;
}

/* FNV-1a over the pins that hold the pieces of one point. */
static uint64_t digest(const nm_tape *tape, int64_t p)
{
    const nm_net *net = tape->net;
    uint64_t hash = 14695981039346656037U;

    for (int k = 0; k < net->n_ops; k++) {
        const nm_op *op = &net->ops[k];
        const double *z;
        int64_t n;

        if (!has_pieces(net, op) || !tape->val[op->in[0]])
            continue;
        z = tape->val[op->in[0]] + p * net->values[op->in[0]].size;
        n = op->kind->n_pins(net, op);
        for (int64_t i = 0; i < n; i++) {
            nm_pin pin = op->kind->pin(net, op, z, i);
            uint64_t piece = (uint64_t)pin.plus * 2654435761U + (pin.sign > 0);

            /* The right side tells apart pieces that one row bounds from two sides. */
            piece ^= (uint64_t)(int64_t)(pin.rhs * 1024);
            hash = (hash ^ piece) * 1099511628211U;
        }
    }
    return hash;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

nm_status nm_count_patterns(const nm_ctx *ctx, const nm_net *net, const float *x, int64_t n,
                            int64_t *count, nm_err *err)
{
    nm_tape *tape = NULL;
    uint64_t *digests = NULL;
    bool any = false;
    nm_status rc = NM_OK;

    *count = -1;
    for (int k = 0; k < net->n_ops; k++)
        any = any || has_pieces(net, &net->ops[k]);
    if (!any)
        return NM_OK;
    NM_TRY(nm_alloc(&digests, (size_t)n, sizeof *digests, err));
    for (int64_t first = 0; first < n; first += BLOCK) {
        int64_t m = n - first < BLOCK ? n - first : BLOCK;

        nm_tape_free(tape);
        tape = NULL;
        NM_TRY(nm_tape_new(net, m, NULL, &tape, err));
        nm_tape_set_input(tape, x + first * nm_net_n_in(net));
        NM_TRY(nm_tape_forward(ctx, tape, NULL, false, err));
        for (int64_t p = 0; p < m; p++)
            digests[first + p] = digest(tape, p);
    }
    qsort(digests, (size_t)n, sizeof *digests, by_value);
    *count = 0;
    for (int64_t p = 0; p < n; p++)
        *count += p == 0 || digests[p] != digests[p - 1];
done:
    nm_tape_free(tape);
    nm_free(digests);
    return rc;
}
