/* What is kept of a point: which elements matter, and how rows pass each operator at it. */
#include "verify/linear_parts.h"

#include <string.h>

static bool open_records(nm_linear *l)
{
    const nm_net *net = l->net;

    l->kept = nm_arena_zeroed(l->arena, (size_t)net->n_values, sizeof *l->kept);
    l->passed = nm_arena_zeroed(l->arena, (size_t)net->n_ops, sizeof *l->passed);
    return l->kept && l->passed;
}

/* Room for the rows of a layer that are yet to be gathered. */
static bool open_rows(nm_linear *l, int k)
{
    int64_t size = l->net->values[l->net->ops[k].out].size;

    if (l->plan->ops[k].passage != NM_BY_FANS)
        return true;
    l->passed[k].weights = nm_arena_zeroed(l->rows, (size_t)size, sizeof *l->passed[k].weights);
    return l->passed[k].weights;
}

bool nm_linear_open(nm_linear *l, const nm_linear_plan *plan, const nm_linear_net *weights,
                    const double *const *val, nm_arena *arena, nm_arena *rows)
{
    *l = (nm_linear){.plan = plan,
                     .net = weights->net,
                     .weights = weights,
                     .val = val,
                     .arena = arena,
                     .rows = rows};
    return open_records(l);
}

bool nm_linear_fork(nm_linear *l, const nm_linear *from, const nm_linear_net *weights,
                    const double *const *val, int first, nm_arena *arena, nm_arena *rows)
{
    const nm_net *net = weights->net;

    *l = (nm_linear){.plan = from->plan,
                     .net = net,
                     .weights = weights,
                     .val = val,
                     .first = first,
                     .arena = arena,
                     .rows = rows};
    if (!open_records(l))
        return false;
    memcpy(l->kept, from->kept, (size_t)net->n_values * sizeof *l->kept);
    memcpy(l->passed, from->passed, (size_t)first * sizeof *l->passed);
    for (int k = 0; k < first; k++)
        if (!open_rows(l, k))
            return false;
    return true;
}

/* Values of the kept elements; NULL in *to if they are all 0. */
static bool store(nm_linear *l, const nm_kept *kept, const double *from, float **to)
{
    bool any = false;

    *to = NULL;
    for (int32_t i = 0; !any && i < kept->n; i++)
        any = from[nm_kept_element(kept, i)] != 0;
    if (!any)
        return true;
    *to = nm_arena_take(l->arena, (size_t)kept->n, sizeof **to);
    for (int32_t i = 0; *to && i < kept->n; i++)
        (*to)[i] = nm_float_up(from[nm_kept_element(kept, i)]);
    return *to;
}

static double sum_of(const float *x, int32_t n)
{
    double sum = 0;

    for (int32_t i = 0; x && i < n; i++)
        sum += (double)x[i];
    return sum;
}

void nm_linear_set_radius(nm_linear *l, int value, const double *radius)
{
    nm_kept *kept = &l->kept[value];

    for (int32_t i = 0; kept->radius && i < kept->n; i++)
        kept->radius[i] = nm_float_up(radius[nm_kept_element(kept, i)]);
    kept->radius_sum = sum_of(kept->radius, kept->n);
}

/* Keeps the elements that are marked. */
static bool keep_marked(nm_linear *l, nm_kept *kept, int64_t size, const bool *marked)
{
    int32_t n = 0;

    for (int64_t k = 0; k < size; k++)
        n += marked[k];
    *kept = (nm_kept){.n = n};
    if (n == size)
        return true;
    kept->element = nm_arena_take(l->arena, (size_t)n, sizeof *kept->element);
    kept->place = nm_arena_take(l->arena, (size_t)size, sizeof *kept->place);
    n = 0;
    for (int64_t k = 0; kept->element && kept->place && k < size; k++) {
        kept->place[k] = marked[k] ? n : -1;
        if (marked[k])
            kept->element[n++] = (int32_t)k;
    }
    return kept->element && kept->place;
}

/* Compacts an array [n x width] of kept elements to those whose old place is wanted. */
static void compact(void *array, size_t width, const bool *wanted, int32_t n)
{
    unsigned char *bytes = array;
    size_t to = 0;

    for (size_t i = 0; bytes && i < (size_t)n; i++)
        if (wanted[i]) {
            memmove(bytes + to * width, bytes + i * width, width);
            to++;
        }
}

static bool prune_inputs(nm_linear *l, int k);

/* Leaves out the elements of a value that nothing can reach any more: its only reader is `wanted`'s
   author. @param wanted  [kept.n] */
static bool prune(nm_linear *l, int value, const bool *wanted)
{
    nm_kept *kept = &l->kept[value], old = *kept;
    int k = l->net->values[value].producer;
    int64_t size = l->net->values[value].size;
    nm_passed *passed = &l->passed[k];
    size_t links = l->plan->ops[k].passage == NM_BY_LINKS ? (size_t)l->plan->ops[k].n_links : 1;
    int32_t n = 0;

    for (int32_t i = 0; i < old.n; i++)
        n += wanted[i];
    if (n == old.n)
        return true;
    if (!old.element) {
        kept->element = nm_arena_take(l->arena, (size_t)old.n, sizeof *kept->element);
        kept->place = nm_arena_take(l->arena, (size_t)size, sizeof *kept->place);
        if (!kept->element || !kept->place)
            return false;
        for (int32_t i = 0; i < old.n; i++)
            kept->element[i] = i;
    }
    compact(kept->element, sizeof *kept->element, wanted, old.n);
    for (int m = 0; m < NM_N_SOURCES; m++)
        compact(kept->source[m], sizeof *kept->source[m], wanted, old.n);
    compact(kept->radius, sizeof *kept->radius, wanted, old.n);
    for (int i = 0; i < 2; i++) {
        compact(passed->from[i], links * sizeof *passed->from[i], wanted, old.n);
        compact(passed->slope[i], sizeof *passed->slope[i], wanted, old.n);
    }
    compact(passed->chord, sizeof *passed->chord, wanted, old.n);
    compact(passed->rise, sizeof *passed->rise, wanted, old.n);
    kept->n = n;
    memset(kept->place, -1, (size_t)size * sizeof *kept->place);
    for (int32_t i = 0; i < n; i++)
        kept->place[kept->element[i]] = i;
    kept->radius_sum = sum_of(kept->radius, n);
    return prune_inputs(l, k);
}

/* After outputs of operator k have been left out. */
static bool prune_inputs(nm_linear *l, int k)
{
    const nm_op *op = &l->net->ops[k];
    nm_passed *passed = &l->passed[k];
    int64_t links = l->plan->ops[k].passage == NM_BY_LINKS ? l->plan->ops[k].n_links : 1;
    const nm_kept *out = &l->kept[op->out];

    for (int i = 0; i < 2; i++) {
        int v = passed->from[i] ? op->in[i] : -1;
        nm_kept *in = v >= 0 ? &l->kept[v] : NULL;
        bool *wanted;
        int32_t *renamed, n = 0;

        if (!in || l->net->values[v].n_readers != 1 || v == l->net->scores ||
            l->net->values[v].producer < l->first)
            continue;
        wanted = nm_arena_zeroed(l->rows, (size_t)in->n, sizeof *wanted);
        renamed = nm_arena_take(l->rows, (size_t)in->n, sizeof *renamed);
        if (!wanted || !renamed)
            return false;
        for (int64_t o = 0; o < out->n * links; o++)
            if (passed->from[i][o] >= 0)
                wanted[passed->from[i][o]] = true;
        for (int32_t p = 0; p < in->n; p++)
            renamed[p] = wanted[p] ? n++ : -1;
        for (int64_t o = 0; o < out->n * links; o++)
            if (passed->from[i][o] >= 0)
                passed->from[i][o] = renamed[passed->from[i][o]];
        if (!prune(l, v, wanted))
            return false;
    }
    return true;
}

/* -- how rows pass ------------------------------------------------------------------------- */

/* Inputs of each fan that are kept. */
static bool pass_by_fans(nm_linear *l, int k)
{
    const nm_linear_op *plan = &l->plan->ops[k];
    const nm_kept *in = &l->kept[plan->input];
    nm_passed *to = &l->passed[k];
    size_t n = (size_t)plan->n_fans;

    to->fan_place = nm_arena_take(l->arena, n, sizeof *to->fan_place);
    to->fan_weight = nm_arena_take(l->arena, n, sizeof *to->fan_weight);
    to->fan_n = nm_arena_take(l->arena, n, sizeof *to->fan_n);
    if (!to->fan_place || !to->fan_weight || !to->fan_n)
        return false;
    if (plan->fused_with >= 0) {
        to->fan_place[0] = nm_arena_take(l->arena, (size_t)in->n, sizeof **to->fan_place);
        to->fan_weight[0] = nm_arena_take(l->arena, (size_t)in->n, sizeof **to->fan_weight);
        to->fan_n[0] = in->n;
        for (int32_t i = 0; to->fan_place[0] && to->fan_weight[0] && i < in->n; i++) {
            to->fan_place[0][i] = i;
            to->fan_weight[0][i] = (int32_t)nm_kept_element(in, i);
        }
        return to->fan_place[0] && to->fan_weight[0] && open_rows(l, k);
    }
    for (int64_t f = 0; f < plan->n_fans; f++) {
        const nm_fan *fan = &plan->fans[f];
        int32_t count = 0;

        to->fan_place[f] = fan->at;
        to->fan_weight[f] = fan->weight;
        to->fan_n[f] = (int32_t)fan->n_in;
        if (!in->place)
            continue;
        for (int64_t i = 0; i < fan->n_in; i++)
            count += in->place[fan->at[i]] >= 0;
        to->fan_place[f] = nm_arena_take(l->arena, (size_t)count, sizeof **to->fan_place);
        to->fan_weight[f] = nm_arena_take(l->arena, (size_t)count, sizeof **to->fan_weight);
        to->fan_n[f] = count;
        if (!to->fan_place[f] || !to->fan_weight[f])
            return false;
        count = 0;
        for (int64_t i = 0; i < fan->n_in; i++)
            if (in->place[fan->at[i]] >= 0) {
                to->fan_place[f][count] = in->place[fan->at[i]];
                to->fan_weight[f][count++] = fan->weight[i];
            }
    }
    return open_rows(l, k);
}

/* Where output element o comes from: place of its j-th input among the kept ones of input i, -1 if
   its derivative is 0. */
static int32_t origin(const nm_linear *l, int k, int i, int64_t o, int64_t j,
                      const nm_linear_part *part)
{
    const nm_linear_op *plan = &l->plan->ops[k];
    const nm_kept *in = &l->kept[l->net->ops[k].in[i]];
    int64_t from = plan->passage == NM_BY_LINKS ? part->at[o * plan->n_links + j] : o;

    if (from < 0 || (plan->passage != NM_BY_VIEW && part->slope[i][o] == 0 &&
                     !(part->rise && part->rise[o] > 0)))
        return -1;
    return nm_kept_place(in, from);
}

static bool pass_one_by_one(nm_linear *l, int k, const nm_linear_part *part)
{
    const nm_net *net = l->net;
    const nm_op *op = &net->ops[k];
    const nm_kept *out = &l->kept[op->out];
    int64_t links = l->plan->ops[k].passage == NM_BY_LINKS ? l->plan->ops[k].n_links : 1;
    nm_passed *to = &l->passed[k];
    bool view = l->plan->ops[k].passage == NM_BY_VIEW;

    for (int i = 0; i < 2; i++) {
        if (!nm_is_varying(net, op, i))
            continue;
        to->from[i] = nm_arena_take(l->arena, (size_t)(out->n * links), sizeof *to->from[i]);
        to->slope[i] = nm_arena_take(l->arena, (size_t)out->n, sizeof *to->slope[i]);
        if (!to->from[i] || !to->slope[i])
            return false;
        for (int32_t o = 0; o < out->n; o++) {
            int64_t element = nm_kept_element(out, o);

            to->slope[i][o] = view ? 1 : (float)part->slope[i][element];
            for (int64_t j = 0; j < links; j++)
                to->from[i][o * links + j] = origin(l, k, i, element, j, part);
        }
    }
    if (part->rise && (!store(l, out, part->rise, &to->rise) ||
                       (to->rise && !store(l, out, part->chord, &to->chord))))
        return false;
    return prune_inputs(l, k);
}

/* An output is kept if it has a source of its own or something comes through. */
static void mark_kept(nm_linear *l, int k, const nm_linear_part *part, bool *marked)
{
    const nm_net *net = l->net;
    int64_t size = net->values[k < 0 ? net->input : net->ops[k].out].size;
    nm_passage passage = k < 0 ? NM_BY_ELEMENT : l->plan->ops[k].passage;
    int64_t links = passage == NM_BY_LINKS ? l->plan->ops[k].n_links : 1;

    for (int64_t o = 0; o < size; o++) {
        bool some = passage == NM_BY_FANS || passage == NM_BY_VJP;

        for (int m = 0; m < NM_N_SOURCES; m++)
            some = some || (m != NM_ROUNDING && part->source[m][o] != 0);
        for (int i = 0; !some && i < 2; i++)
            for (int64_t j = 0; k >= 0 && nm_is_varying(net, &net->ops[k], i) && j < links; j++)
                some = some || origin(l, k, i, o, j, part) >= 0;
        marked[o] = some;
    }
}

bool nm_linear_add(nm_linear *l, int k, const nm_linear_part *part)
{
    const nm_net *net = l->net;
    int v = k < 0 ? net->input : net->ops[k].out;
    nm_kept *kept = &l->kept[v];
    bool *marked = nm_arena_take(l->rows, (size_t)net->values[v].size, sizeof *marked);

    if (!marked)
        return false;
    mark_kept(l, k, part, marked);
    if (!keep_marked(l, kept, net->values[v].size, marked))
        return false;
    for (int m = 0; m < NM_N_SOURCES; m++)
        if (!store(l, kept, part->source[m], &kept->source[m]))
            return false;
    if (!store(l, kept, part->radius, &kept->radius))
        return false;
    kept->radius_sum = sum_of(kept->radius, kept->n);
    if (k < 0 || l->plan->ops[k].passage == NM_BY_VJP)
        return true;
    return l->plan->ops[k].passage == NM_BY_FANS ? pass_by_fans(l, k) : pass_one_by_one(l, k, part);
}
