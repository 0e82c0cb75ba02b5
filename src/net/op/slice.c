/* Slice: ranges with steps along some axes; attributes before opset 10, constant inputs since. */
#include <string.h>

#include "net/op/facet.h"
#include "net/op/move.h"

struct list {
    int64_t v[NM_MAX_DIMS];
    size_t n;
};

struct ranges {
    struct list starts, ends, axes, steps;
};

/* Along each axis of the input. */
struct plan {
    int64_t start[NM_MAX_DIMS], step[NM_MAX_DIMS], count[NM_MAX_DIMS];
};

static nm_status parse(const nm_node_view *node, void *attr, nm_err *err)
{
    struct ranges *a = attr;
    nm_status rc = NM_OK;

    NM_TRY(nm_node_ints(node, "starts", a->starts.v, NM_MAX_DIMS, &a->starts.n, err));
    NM_TRY(nm_node_ints(node, "ends", a->ends.v, NM_MAX_DIMS, &a->ends.n, err));
    NM_TRY(nm_node_ints(node, "axes", a->axes.v, NM_MAX_DIMS, &a->axes.n, err));
done:
    return rc;
}

static nm_status read_ranges(const nm_net *net, const nm_op *op, struct ranges *r, nm_err *err)
{
    static const char *const names[] = {"starts", "ends", "axes", "steps"};
    struct list *lists[] = {&r->starts, &r->ends, &r->axes, &r->steps};

    memcpy(r, op->attr, sizeof *r);
    for (int i = 0; i < 4; i++) {
        nm_status rc = NM_OK;

        if (nm_has_input(op, i + 1))
            rc = nm_const_ints(net, op, i + 1, names[i], lists[i]->v, NM_MAX_DIMS, &lists[i]->n,
                               err);
        if (rc != NM_OK)
            return rc;
        if (lists[i]->n != r->starts.n && !(i >= 2 && lists[i]->n == 0))
            return nm_fail(err, NM_E_SHAPE, "%s has %zu values, expected as many as starts, %zu",
                           names[i], lists[i]->n, r->starts.n);
    }
    if (r->starts.n == 0)
        return nm_fail(err, NM_E_FORMAT, "starts and ends are missing or empty");
    return NM_OK;
}

static int64_t clamp(int64_t x, int64_t lo, int64_t hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

/* Python's rule for ranges, as ONNX takes it over. */
static nm_status plan_axis(int64_t start, int64_t end, int64_t step, int axis, int64_t length,
                           struct plan *plan, nm_err *err)
{
    int64_t last = step > 0 ? length : length - 1, before = step > 0 ? 0 : -1;

    if (step == 0)
        return nm_fail(err, NM_E_FORMAT, "the step along axis %d is 0", axis);
    step = clamp(step, -NM_MAX_ELEMENTS, NM_MAX_ELEMENTS);
    start = clamp(start < 0 ? start + length : start, 0, last);
    end = clamp(end < 0 ? end + length : end, before, last);
    plan->start[axis] = start;
    plan->step[axis] = step;
    plan->count[axis] =
        step > 0 ? (end - start + step - 1) / step : (start - end - step - 1) / -step;
    if ((end - start > 0) != (step > 0) || end == start)
        return nm_fail(err, NM_E_SHAPE, "the range along axis %d holds no elements", axis);
    return NM_OK;
}

static nm_status make_plan(const nm_net *net, const nm_op *op, struct plan *plan, nm_err *err)
{
    const nm_shape *in = nm_op_shape(net, op, 0);
    bool seen[NM_MAX_DIMS] = {false};
    struct ranges r;
    nm_status rc = read_ranges(net, op, &r, err);

    *plan = (struct plan){0};
    for (int a = 0; a < in->rank; a++) {
        plan->step[a] = 1;
        plan->count[a] = in->dim[a];
    }
    for (size_t i = 0; rc == NM_OK && i < r.starts.n; i++) {
        int64_t start = r.starts.v[i], end = r.ends.v[i], step = r.steps.n ? r.steps.v[i] : 1;
        bool whole = start == 0 && end >= NM_MAX_ELEMENTS && step == 1;
        int axis = 0;

        rc = nm_axis_resolve(r.axes.n ? r.axes.v[i] : (int64_t)i, in->rank, &axis, err);
        if (rc == NM_OK && seen[axis])
            rc = nm_fail(err, NM_E_FORMAT, "axis %d is given twice", axis);
        if (rc == NM_OK && !whole)
            rc = nm_refuse_batch(net, op, 0, axis, err);
        if (rc == NM_OK)
            rc = plan_axis(start, end, step, axis, in->dim[axis], plan, err);
        seen[axis] = true;
    }
    return rc;
}

static nm_status infer(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err)
{
    struct plan plan;
    nm_status rc = make_plan(net, op, &plan, err);

    if (rc != NM_OK)
        return rc;
    *out = *nm_op_shape(net, op, 0);
    for (int a = 0; a < out->rank; a++)
        out->dim[a] = plan.count[a];
    return NM_OK;
}

static void sources(const nm_net *net, const nm_op *op, int64_t *source)
{
    const nm_shape *in = nm_op_shape(net, op, 0);
    int64_t stride[NM_MAX_DIMS], step[NM_MAX_DIMS], first = 0;
    struct plan plan;

    (void)make_plan(net, op, &plan, NULL); /* infer has checked it */
    nm_move_strides(in, stride);
    for (int a = 0; a < in->rank; a++) {
        first += plan.start[a] * stride[a];
        step[a] = plan.step[a] * stride[a];
    }
    nm_move_strided(&net->values[op->out].shape, first, step, source);
}

const nm_op_kind nm_op_slice = {.name = "Slice",
                                .onnx_names = NM_ONNX("Slice"),
                                .min_in = 1,
                                .max_in = 5,
                                .attr_bytes = sizeof(struct ranges),
                                .parse = parse,
                                .infer = infer,
                                .family = &(const nm_move_family){.sources = sources},
                                NM_MOVE_FACETS};
