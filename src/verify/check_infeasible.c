/* Proofs that no change helps: Farkas multipliers, and points that no change tells apart. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "net/tape.h"
#include "verify/dot.h"
#include "verify/proof.h"

/* -- multipliers --------------------------------------------------------------------------- */

/* The most that the true q_j d_j can be over the box. */
static void add_most(const nm_claim *c, double box, const nm_proof_sum *sum, int64_t j,
                     nm_dot *total)
{
    double hi = fmin(c->hi, box), lo = fmin(-c->lo, box);
    double up = sum->q[j] + sum->error[j], down = sum->error[j] - sum->q[j];

    if (sum->error[j] > 0) /* a free entry */
        nm_dot_add(total, 1, fmax(fmax(up * hi, down * lo), 0) * (1 + 0x1p-50));
}

/* How far h exceeds it. */
static double excess_in(const nm_claim *c, double box, const nm_proof_sum *sum)
{
    nm_dot most = {0};

    for (int64_t j = 0; j < sum->n; j++)
        add_most(c, box, sum, j, &most);
    return sum->h - nm_dot_at_most(&most) - 0x1p-50 * fabs(sum->h);
}

nm_status nm_measure_infeasible(const nm_check_state *s, const nm_claim_proof *proof,
                                const double *boxes, int n, double *box, nm_err *err)
{
    nm_proof_sum sum = {0};
    nm_status rc = NM_OK;

    *box = 0;
    if (proof->pieces == NM_PIECES_FIXED)
        return nm_fail(err, NM_E_ARG, "a proof that there is no FIXED cannot speak of its pieces");
    NM_TRY(nm_proof_sum_make(s, proof, &sum, err));
    for (int i = 0; i < n && *box == 0; i++)
        if (excess_in(s->claim, boxes[i], &sum) > 0)
            *box = boxes[i];
done:
    nm_proof_sum_clear(&sum);
    return rc;
}

nm_status nm_check_infeasible(const nm_check_state *s, const nm_claim_statement *claimed,
                              nm_check_statement *out, nm_err *err)
{
    double box;
    nm_status rc = nm_measure_infeasible(s, &claimed->proof, &claimed->box, 1, &box, err);

    if (rc != NM_OK)
        return rc;
    if (box == 0)
        return nm_fail(err, NM_E_ARG, "the multipliers do not prove that there is no such change");
    nm_confirm(out, claimed->proof.n_points,
               "no change within its bounds and %.3g gives these %lld points their margins%s",
               claimed->box, (long long)claimed->proof.n_points,
               claimed->proof.pieces == NM_PIECES_ANY ? "" : " in the present pieces");
    return NM_OK;
}

/* -- twins --------------------------------------------------------------------------------- */

/* What enters the part behind the edited layers, to the bit. */
static bool same_frontier(const nm_net *net, const nm_reach *reach, const nm_tape *tape)
{
    for (int i = 0; i < net->n_ops; i++)
        for (int k = 0; reach->tail[i] && k < net->ops[i].n_in; k++) {
            int v = net->ops[i].in[k];
            size_t size;

            if (v < 0 || net->values[v].constant || reach->behind[v])
                continue;
            size = (size_t)net->values[v].size;
            if (memcmp(tape->val[v], tape->val[v] + size, size * sizeof(double)) != 0)
                return false;
        }
    return true;
}

static nm_status evaluate_pair(const nm_check_state *s, const int64_t *pair, const nm_reach *reach,
                               nm_tape **out, nm_err *err)
{
    nm_points two = {0};
    nm_status rc = nm_points_subset(&s->sets[NM_SET_REPAIR], pair, 2, &two, err);

    if (rc == NM_OK)
        rc = nm_tape_new(s->model, 2, NULL, out, err);
    if (rc == NM_OK) {
        nm_tape_set_input(*out, two.x);
        rc = nm_tape_forward(s->ctx, *out, reach->used, true, err);
    }
    nm_points_free(&two);
    return rc;
}

nm_status nm_check_twins(const nm_check_state *s, const nm_claim_statement *claimed,
                         nm_check_statement *out, nm_err *err)
{
    const nm_points *set = &s->sets[NM_SET_REPAIR];
    int64_t a = claimed->twins[0], b = claimed->twins[1], n_in = set->n_in;
    nm_reach reach = {0};
    nm_tape *tape = NULL;
    bool same_inputs;
    nm_status rc = NM_OK;

    if (a < 0 || b < 0 || a >= set->n || b >= set->n || set->labels[a] == set->labels[b])
        return nm_fail(err, NM_E_ARG, "points %lld and %lld are no two points of other classes",
                       (long long)a, (long long)b);
    NM_TRY(nm_reach_make(s, NULL, &reach, err));
    NM_TRY(evaluate_pair(s, claimed->twins, &reach, &tape, err));
    if (!same_frontier(s->model, &reach, tape))
        NM_THROW(err, NM_E_ARG, "points %lld and %lld reach the edited layers as other numbers",
                 (long long)a, (long long)b);
    same_inputs = memcmp(set->x + a * n_in, set->x + b * n_in, (size_t)n_in * sizeof *set->x) == 0;
    nm_confirm(out, 2, "points %lld and %lld are %s, and no change can tell them apart",
               (long long)a, (long long)b,
               same_inputs ? "equal" : "equal in float64 where they reach the edited layers");
done:
    nm_tape_free(tape);
    nm_reach_clear(&reach);
    return rc;
}
