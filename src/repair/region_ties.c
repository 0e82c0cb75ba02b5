#include "repair/region_ties.h"

#include <stdlib.h>

#include "base/mem.h"

void nm_region_ties_free(nm_region_ties *ties)
{
    for (int op = 0; ties->tied && op < ties->n_ops; op++)
        nm_free(ties->tied[op]);
    nm_free(ties->tied);
    *ties = (nm_region_ties){0};
}

typedef struct member {
    int64_t vertex, group, point;
} member;

static int by_vertex_and_group(const void *a, const void *b)
{
    const member *ma = a, *mb = b;

    if (ma->vertex != mb->vertex)
        return ma->vertex < mb->vertex ? -1 : 1;
    if (ma->group != mb->group)
        return ma->group < mb->group ? -1 : 1;
    return ma->point < mb->point ? -1 : ma->point > mb->point;
}

static bool same_pin(const nm_tail *tail, int op, int64_t k, int64_t a, int64_t b)
{
    const nm_op *at = &tail->net->ops[op];
    int64_t size = tail->net->values[at->in[0]].size;
    const double *z = tail->at->val[at->in[0]];
    nm_pin first = at->kind->pin(tail->net, at, z + a * size, k);
    nm_pin second = at->kind->pin(tail->net, at, z + b * size, k);

    return first.plus == second.plus && first.minus == second.minus && first.sign == second.sign;
}

/* One vertex: pins on which not all its points agree with the first one. */
static void tie_vertex(const nm_tail *tail, int op, int64_t n_pins, const member *at, int64_t n,
                       bool *tied)
{
    for (int64_t k = 0; k < n_pins; k++) {
        bool agree = true;

        for (int64_t i = 1; agree && i < n; i++)
            agree =
                at[i].group == at[i - 1].group || same_pin(tail, op, k, at[0].point, at[i].point);
        for (int64_t i = 0; !agree && i < n; i++)
            tied[at[i].point * n_pins + k] = true;
    }
}

static nm_status tie_op(const nm_tail *tail, int op, const member *all, int64_t n, bool **tied,
                        nm_err *err)
{
    const nm_op *at = &tail->net->ops[op];
    int64_t n_pins = at->kind->n_pins(tail->net, at);
    nm_status rc = nm_alloc(tied, (size_t)(n * n_pins), sizeof **tied, err);

    for (int64_t first = 0, last; rc == NM_OK && first < n; first = last) {
        for (last = first; last < n && all[last].vertex == all[first].vertex;)
            last++;
        if (all[first].group != all[last - 1].group)
            tie_vertex(tail, op, n_pins, all + first, last - first, *tied);
    }
    return rc;
}

nm_status nm_region_ties_new(const nm_tail *tail, const bool *pinned, const int64_t *vertex,
                             const int64_t *group, int64_t n, nm_region_ties *out, nm_err *err)
{
    const nm_net *net = tail->net;
    member *all = NULL;
    bool any = false;
    nm_status rc = NM_OK;

    *out = (nm_region_ties){.n_ops = net->n_ops};
    NM_TRY(nm_alloc(&out->tied, (size_t)net->n_ops, sizeof *out->tied, err));
    NM_TRY(nm_alloc(&all, (size_t)n, sizeof *all, err));
    for (int64_t i = 0; i < n; i++)
        all[i] = (member){.vertex = vertex[i], .group = group[i], .point = i};
    qsort(all, (size_t)n, sizeof *all, by_vertex_and_group);
    for (int64_t i = 1; i < n; i++)
        any = any || (all[i].vertex == all[i - 1].vertex && all[i].group != all[i - 1].group);
    for (int op = 0; any && op < net->n_ops; op++)
        if (pinned[op] && net->ops[op].kind->n_pins && tail->behind[net->ops[op].in[0]])
            NM_TRY(tie_op(tail, op, all, n, &out->tied[op], err));
done:
    nm_free(all);
    if (rc != NM_OK)
        nm_region_ties_free(out);
    return rc;
}
