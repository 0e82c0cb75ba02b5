/* Records of a point, copied without what nothing needs any more. */
#include "verify/linear_parts.h"

#include <string.h>

/* Values that rows from behind can reach: what later operators read, and what lies before that, up
   to summaries. */
static void find_reached(const nm_linear *l, int first, bool *reached)
{
    const nm_net *net = l->net;

    if (net->values[net->scores].producer < first)
        reached[net->scores] = true;
    for (int k = net->n_ops - 1; k >= 0; k--) {
        const nm_op *op = &net->ops[k];
        bool passes = k >= first || (reached[op->out] && !l->kept[op->out].summary);

        for (int i = 0; passes && i < op->n_in; i++)
            if (nm_is_varying(net, op, i))
                reached[op->in[i]] = true;
        if (passes)
            reached[l->plan->ops[k].input] = true;
    }
}

static void *copied(nm_arena *arena, const void *from, size_t n, size_t size)
{
    void *to = from ? nm_arena_take(arena, n, size) : NULL;

    if (to)
        memcpy(to, from, n * size);
    return to;
}

static void copy_summary(nm_kept *to, int32_t n, nm_arena *arena)
{
    nm_summary *s = to->summary = copied(arena, to->summary, 1, sizeof *s);
    size_t count = (size_t)n;

    for (int m = 0; s && m < NM_N_MODELS; m++) {
        nm_summed *one = &s->model[m];

        one->p = copied(arena, one->p, count * (count + 1) / 2, sizeof *one->p);
        one->root = copied(arena, one->root, count, sizeof *one->root);
        one->rest = copied(arena, one->rest, count, sizeof *one->rest);
    }
}

static void copy_kept(nm_kept *to, int64_t size, nm_arena *arena)
{
    size_t n = (size_t)to->n;

    to->element = copied(arena, to->element, n, sizeof *to->element);
    to->place = copied(arena, to->place, (size_t)size, sizeof *to->place);
    for (int m = 0; m < NM_N_SOURCES; m++)
        to->source[m] = copied(arena, to->source[m], n, sizeof *to->source[m]);
    to->radius = copied(arena, to->radius, n, sizeof *to->radius);
    copy_summary(to, to->n, arena);
}

static void copy_fans(nm_passed *to, const nm_linear_op *plan, nm_arena *arena)
{
    size_t n = (size_t)plan->n_fans;

    to->fan_place = copied(arena, to->fan_place, n, sizeof *to->fan_place);
    to->fan_weight = copied(arena, to->fan_weight, n, sizeof *to->fan_weight);
    to->fan_n = copied(arena, to->fan_n, n, sizeof *to->fan_n);
    for (size_t f = 0; !arena->failed && to->fan_place && f < n; f++) {
        size_t count = (size_t)to->fan_n[f];

        if (to->fan_place[f] == plan->fans[f].at) /* the plan's */
            continue;
        to->fan_place[f] = copied(arena, to->fan_place[f], count, sizeof **to->fan_place);
        to->fan_weight[f] = copied(arena, to->fan_weight[f], count, sizeof **to->fan_weight);
    }
}

static void copy_passed(nm_passed *to, const nm_linear_op *plan, int32_t n_out, nm_arena *arena)
{
    size_t n = (size_t)n_out, links = plan->passage == NM_BY_LINKS ? (size_t)plan->n_links : 1;

    for (int i = 0; i < 2; i++) {
        to->from[i] = copied(arena, to->from[i], n * links, sizeof *to->from[i]);
        to->slope[i] = copied(arena, to->slope[i], n, sizeof *to->slope[i]);
    }
    to->chord = copied(arena, to->chord, n, sizeof *to->chord);
    to->rise = copied(arena, to->rise, n, sizeof *to->rise);
    copy_fans(to, plan, arena);
    to->weights = NULL;
}

bool nm_linear_pack(nm_linear *to, const nm_linear *from, int first, nm_arena *arena)
{
    const nm_net *net = from->net;
    bool *reached = nm_arena_zeroed(from->rows, (size_t)net->n_values, sizeof *reached);

    *to = *from;
    to->arena = arena;
    to->rows = NULL;
    to->val = NULL;
    to->kept = nm_arena_zeroed(arena, (size_t)net->n_values, sizeof *to->kept);
    to->passed = nm_arena_zeroed(arena, (size_t)net->n_ops, sizeof *to->passed);
    if (!reached || !to->kept || !to->passed)
        return false;
    find_reached(from, first, reached);
    for (int v = 0; v < net->n_values; v++) {
        int k = net->values[v].producer;

        if (!reached[v] || k >= first || net->values[v].constant)
            continue;
        to->kept[v] = from->kept[v];
        copy_kept(&to->kept[v], net->values[v].size, arena);
        if (k < 0 || from->kept[v].summary)
            continue;
        to->passed[k] = from->passed[k];
        copy_passed(&to->passed[k], &from->plan->ops[k], from->kept[v].n, arena);
    }
    return !arena->failed;
}
