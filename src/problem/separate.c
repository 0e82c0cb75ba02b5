/* Finding the rows that the present solution breaks. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "problem/rows.h"

void nm_violations_free(nm_violations *list)
{
    nm_free(list->at);
    *list = (nm_violations){0};
}

static nm_status push(nm_violations *list, const nm_violation *v, nm_err *err)
{
    if (list->n == list->room) {
        int64_t room = list->room ? 2 * list->room : 256;
        nm_status rc = nm_realloc(&list->at, (size_t)room, sizeof *list->at, err);

        if (rc != NM_OK)
            return rc;
        list->room = room;
    }
    list->at[list->n++] = *v;
    return NM_OK;
}

/* Largest first; ties by position, so that the order is always the same. */
static int by_amount(const void *a, const void *b)
{
    const nm_violation *va = a, *vb = b;

    if (va->amount != vb->amount)
        return va->amount > vb->amount ? -1 : 1;
    if (va->row.point != vb->row.point)
        return va->row.point < vb->row.point ? -1 : 1;
    if (va->row.kind != vb->row.kind)
        return va->row.kind < vb->row.kind ? -1 : 1;
    if (va->row.op != vb->row.op)
        return va->row.op < vb->row.op ? -1 : 1;
    return va->row.k < vb->row.k ? -1 : va->row.k > vb->row.k;
}

static void sort_from(nm_violations *list, int64_t first)
{
    if (list->n - first > 1)
        qsort(list->at + first, (size_t)(list->n - first), sizeof *list->at, by_amount);
}

/* Of the entries from `first` on, keeps the worst `most`. */
static void keep_worst(nm_violations *list, int64_t first, int64_t most)
{
    if (list->n - first <= most)
        return;
    sort_from(list, first);
    list->n = first + most;
}

/* A linearised value: reference plus tangent, and what points with pieces from elsewhere differ by.
 */
struct arrays {
    const double *at, *t, *held;
};

static double moved(const struct arrays *z, int64_t i)
{
    return z->at[i] + (z->t ? z->t[i] : 0) + (z->held ? z->held[i] : 0);
}

static struct arrays arrays_of(const nm_tail *tail, const nm_demand *demand, const nm_tape *t,
                               int v, int64_t p)
{
    int64_t shift = p * tail->net->values[v].size;
    const nm_tape *held = demand->hold ? demand->hold->shift : NULL;

    return (struct arrays){.at = tail->at->val[v] + shift,
                           .t = t && t->val[v] ? t->val[v] + shift : NULL,
                           .held = held && held->val[v] ? held->val[v] + shift : NULL};
}

/* A point with a rule has one row instead of one for each other class. */
static nm_status broken_rule(const nm_tail *tail, const nm_demand *demand, const nm_tape *t,
                             double tolerance, int64_t p, nm_violations *out, nm_err *err)
{
    const nm_out_row *rule = nm_demand_rule(demand, p);
    struct arrays s = arrays_of(tail, demand, t, tail->net->scores, p);
    double sum = nm_rule_sum(rule, s.at) + (s.t ? nm_rule_sum(rule, s.t) : 0) +
                 (s.held ? nm_rule_sum(rule, s.held) : 0);
    nm_violation v = {.row = {.kind = NM_ROW_LABEL, .point = p},
                      .amount = demand->margin[p] - (sum - rule->limit_out)};

    return v.amount > tolerance * (1 + fabs(sum)) ? push(out, &v, err) : NM_OK;
}

static nm_status broken_labels(const nm_tail *tail, const nm_demand *demand, const nm_tape *t,
                               const nm_separation *how, int64_t p, nm_violations *out, nm_err *err)
{
    int64_t n = tail->net->values[tail->net->scores].size, first = out->n;
    struct arrays s = arrays_of(tail, demand, t, tail->net->scores, p);
    double wanted = moved(&s, demand->target[p]);
    nm_status rc = NM_OK;

    for (int64_t j = 0; rc == NM_OK && j < n; j++) {
        double amount = demand->margin[p] - nm_demand_sign(demand) * (wanted - moved(&s, j));
        nm_violation v = {.row = {.kind = NM_ROW_LABEL, .point = p, .k = j}, .amount = amount};

        if (j != demand->target[p] && amount > how->tolerance * (1 + fabs(wanted)))
            rc = push(out, &v, err);
    }
    keep_worst(out, first, how->labels_a_point);
    return rc;
}

static nm_status broken_pins_of_op(const nm_tail *tail, const nm_demand *demand, const nm_tape *t,
                                   double tolerance, int op, int64_t p, nm_violations *out,
                                   nm_err *err)
{
    const nm_op *at = &tail->net->ops[op];
    int64_t n = at->kind->n_pins(tail->net, at);
    struct arrays z = arrays_of(tail, demand, t, at->in[0], p);
    nm_status rc = NM_OK;

    for (int64_t k = 0; rc == NM_OK && k < n; k++) {
        nm_pin pin = at->kind->pin(tail->net, at, z.at, k);
        double value = moved(&z, pin.plus) - (pin.minus >= 0 ? moved(&z, pin.minus) : 0);
        double amount = pin.rhs + nm_demand_pin_margin(demand, op, p, n, k) - pin.sign * value;
        nm_violation v = {.row = {.kind = NM_ROW_PIN, .op = op, .point = p, .k = k},
                          .amount = amount};

        if (amount > tolerance * (1 + fabs(z.at[pin.plus])))
            rc = push(out, &v, err);
    }
    return rc;
}

/* An operator whose pieces the edit can change: it reads a value behind an edited layer. */
static bool has_live_pins(const nm_tail *tail, int op)
{
    const nm_op *at = &tail->net->ops[op];

    return tail->op_mask[op] && at->kind->n_pins && tail->behind[at->in[0]];
}

static bool is_pinned(const nm_tail *tail, const nm_demand *demand, int op)
{
    const bool *pinned = demand->hold ? demand->hold->op : NULL;

    return has_live_pins(tail, op) && (!pinned || pinned[op]);
}

nm_status nm_separate(const nm_tail *tail, const nm_demand *demand, const nm_tape *t,
                      const nm_separation *how, nm_violations *out, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int64_t p = 0; rc == NM_OK && p < tail->at->n; p++) {
        rc = nm_demand_rule(demand, p) ? broken_rule(tail, demand, t, how->tolerance, p, out, err)
                                       : broken_labels(tail, demand, t, how, p, out, err);
        if (!how->pins || p >= demand->n_pinned || demand->margin[p] == -INFINITY)
            continue;
        int64_t first = out->n;

        for (int op = 0; rc == NM_OK && op < tail->net->n_ops; op++)
            if (is_pinned(tail, demand, op))
                rc = broken_pins_of_op(tail, demand, t, how->tolerance, op, p, out, err);
        keep_worst(out, first, how->pins_a_point);
    }
    sort_from(out, 0);
    return rc;
}

nm_status nm_flips(const nm_tail *tail, int64_t p, const nm_tail *other, int64_t q,
                   nm_violations *out, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int op = 0; rc == NM_OK && op < tail->net->n_ops; op++) {
        const nm_op *at = &tail->net->ops[op];
        int64_t size = tail->net->values[at->in[0]].size;
        int64_t n = has_live_pins(tail, op) ? at->kind->n_pins(tail->net, at) : 0;

        for (int64_t k = 0; rc == NM_OK && k < n; k++) {
            nm_pin pin = at->kind->pin(tail->net, at, tail->at->val[at->in[0]] + p * size, k);
            const double *z = other->at->val[at->in[0]] + q * size;
            double value = pin.sign * (z[pin.plus] - (pin.minus >= 0 ? z[pin.minus] : 0));
            nm_violation v = {.row = {.kind = NM_ROW_PIN, .op = op, .point = p, .k = k},
                              .amount = pin.rhs - value};

            if (v.amount > 0)
                rc = push(out, &v, err);
        }
    }
    return rc;
}

int64_t nm_rows_total(const nm_tail *tail, const nm_demand *demand, bool pins)
{
    int64_t pins_a_point = 0, n = 0;

    for (int op = 0; pins && op < tail->net->n_ops; op++)
        if (is_pinned(tail, demand, op))
            pins_a_point += tail->net->ops[op].kind->n_pins(tail->net, &tail->net->ops[op]);
    for (int64_t p = 0; p < tail->at->n; p++)
        n += nm_demand_rule(demand, p) ? 1 : tail->net->values[tail->net->scores].size - 1;
    return n + demand->n_pinned * pins_a_point;
}
