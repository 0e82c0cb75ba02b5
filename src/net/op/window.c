#include "net/op/window.h"

#include <string.h>

#include "net/op/facet.h"

static nm_status parse_auto_pad(const nm_node_view *node, nm_auto_pad *out, nm_err *err)
{
    static const char *const names[] = {"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"};
    const char *text;
    nm_status rc = nm_node_string(node, "auto_pad", names[0], &text, err);

    if (rc != NM_OK)
        return rc;
    for (int i = 0; i < 4; i++)
        if (strcmp(text, names[i]) == 0) {
            *out = (nm_auto_pad)i;
            return NM_OK;
        }
    return nm_fail(err, NM_E_FORMAT,
                   "auto_pad is '%.20s', expected NOTSET, VALID, SAME_UPPER or SAME_LOWER", text);
}

nm_status nm_window_parse(const nm_node_view *node, nm_window_attr *attr, nm_err *err)
{
    int64_t ceil_mode = 0;
    nm_status rc = NM_OK;

    NM_TRY(nm_node_ints(node, "kernel_shape", attr->kernel, NM_WINDOW_AXES, &attr->n_kernel, err));
    NM_TRY(nm_node_ints(node, "strides", attr->strides, NM_WINDOW_AXES, &attr->n_strides, err));
    NM_TRY(
        nm_node_ints(node, "dilations", attr->dilations, NM_WINDOW_AXES, &attr->n_dilations, err));
    NM_TRY(nm_node_ints(node, "pads", attr->pads, 2 * NM_WINDOW_AXES, &attr->n_pads, err));
    NM_TRY(nm_node_int(node, "ceil_mode", 0, &ceil_mode, err));
    NM_TRY(parse_auto_pad(node, &attr->auto_pad, err));
    attr->ceil_mode = ceil_mode != 0;
done:
    return rc;
}

nm_status nm_window_spatial(const nm_shape *image, nm_shape *spatial, nm_err *err)
{
    char text[96];

    if (image->rank < 3 || image->rank > 2 + NM_WINDOW_AXES)
        return nm_fail(err, NM_E_UNSUPPORTED,
                       "the input has shape %s, expected batch, channels and 1 to 3 more axes",
                       nm_shape_text(image, text));
    spatial->rank = image->rank - 2;
    memcpy(spatial->dim, image->dim + 2, (size_t)spatial->rank * sizeof *spatial->dim);
    return NM_OK;
}

/* An attribute list of one entry per spatial axis, right-aligned into `to`. */
static nm_status take_list(const char *name, const int64_t *list, size_t n, int rank,
                           int64_t fallback, int64_t min, int64_t *to, nm_err *err)
{
    if (n != 0 && n != (size_t)rank)
        return nm_fail(err, NM_E_SHAPE, "%s has %zu values, expected %d", name, n, rank);
    for (int i = 0; i < rank; i++) {
        int64_t value = n ? list[i] : fallback;

        if (value < min || value > NM_MAX_ELEMENTS)
            return nm_fail(err, NM_E_SHAPE, "%s holds %lld, expected %lld to %lld", name,
                           (long long)value, (long long)min, (long long)NM_MAX_ELEMENTS);
        to[NM_WINDOW_AXES - rank + i] = value;
    }
    return NM_OK;
}

static int64_t extent(const nm_window *w, int axis)
{
    return (w->kernel[axis] - 1) * w->dilation[axis] + 1;
}

static nm_status take_pads(const nm_window_attr *attr, int rank, nm_window *w, nm_err *err)
{
    size_t half = (size_t)rank;
    nm_status rc;

    if (attr->auto_pad != NM_PAD_EXPLICIT)
        return NM_OK;
    if (attr->n_pads != 0 && attr->n_pads != 2 * half)
        return nm_fail(err, NM_E_SHAPE, "pads has %zu values, expected %zu", attr->n_pads,
                       2 * half);
    rc = take_list("pads", attr->pads, attr->n_pads / 2, rank, 0, 0, w->pad, err);
    if (rc == NM_OK)
        rc = take_list("pads", attr->pads + half, attr->n_pads / 2, rank, 0, 0, w->pad_end, err);
    return rc;
}

/* SAME: ceil(in / stride) outputs; an odd element of padding goes to the end (UPPER) or the
   beginning (LOWER). */
static void pad_to_same(nm_auto_pad mode, nm_window *w, int axis)
{
    int64_t n_out = (w->in[axis] + w->stride[axis] - 1) / w->stride[axis];
    int64_t total = (n_out - 1) * w->stride[axis] + extent(w, axis) - w->in[axis];

    if (total < 0)
        total = 0;
    w->pad[axis] = mode == NM_PAD_SAME_UPPER ? total / 2 : total - total / 2;
    w->pad_end[axis] = total - w->pad[axis];
}

nm_status nm_window_geometry(const nm_window_attr *attr, const nm_shape *spatial,
                             const int64_t *kernel, nm_window *out, nm_err *err)
{
    int rank = spatial->rank;
    nm_status rc = NM_OK;

    *out = (nm_window){.in = {1, 1, 1},
                       .out = {1, 1, 1},
                       .kernel = {1, 1, 1},
                       .stride = {1, 1, 1},
                       .dilation = {1, 1, 1}};
    NM_TRY(take_list("the image", spatial->dim, (size_t)rank, rank, 1, 1, out->in, err));
    NM_TRY(take_list("the kernel shape", kernel, (size_t)rank, rank, 1, 1, out->kernel, err));
    NM_TRY(take_list("strides", attr->strides, attr->n_strides, rank, 1, 1, out->stride, err));
    NM_TRY(
        take_list("dilations", attr->dilations, attr->n_dilations, rank, 1, 1, out->dilation, err));
    NM_TRY(take_pads(attr, rank, out, err));
    for (int a = NM_WINDOW_AXES - rank; a < NM_WINDOW_AXES; a++) {
        int64_t most = out->in[a] + extent(out, a);

        if (attr->auto_pad == NM_PAD_SAME_UPPER || attr->auto_pad == NM_PAD_SAME_LOWER)
            pad_to_same(attr->auto_pad, out, a);
        if (out->pad[a] > most || out->pad_end[a] > most)
            NM_THROW(err, NM_E_SHAPE, "pads holds %lld, expected at most image plus kernel, %lld",
                     (long long)(out->pad[a] > most ? out->pad[a] : out->pad_end[a]),
                     (long long)most);
    }
done:
    return rc;
}

nm_status nm_window_resolve(const nm_window_attr *attr, const nm_shape *spatial,
                            const int64_t *kernel, nm_window *out, nm_err *err)
{
    nm_status rc = nm_window_geometry(attr, spatial, kernel, out, err);

    for (int a = 0; rc == NM_OK && a < NM_WINDOW_AXES; a++) {
        int64_t padded = out->in[a] + out->pad[a] + out->pad_end[a];
        int64_t room = padded - extent(out, a);

        if (room < 0)
            return nm_fail(err, NM_E_SHAPE,
                           "the kernel spans %lld elements, more than the padded image's %lld",
                           (long long)extent(out, a), (long long)padded);
        out->out[a] = room / out->stride[a] + 1;
        if (attr->ceil_mode && room % out->stride[a] != 0 &&
            out->out[a] * out->stride[a] < out->in[a] + out->pad[a])
            out->out[a]++;
    }
    return rc;
}

/* First and one past the last tap at output position o that lie inside the image along one axis. */
static void inner_taps(const nm_window *w, int axis, int64_t o, int64_t *first, int64_t *end)
{
    int64_t start = o * w->stride[axis] - w->pad[axis], d = w->dilation[axis];
    int64_t room = w->in[axis] - start;

    *first = start < 0 ? (d - 1 - start) / d : 0;
    *end = room <= 0 ? 0 : (room + d - 1) / d;
    if (*end > w->kernel[axis])
        *end = w->kernel[axis];
    if (*first > *end)
        *first = *end;
}

nm_patch nm_window_patch(const nm_window *w, int64_t position)
{
    int64_t line = position / w->out[2];
    int64_t o[NM_WINDOW_AXES] = {line / w->out[1], line % w->out[1], position % w->out[2]};
    int64_t stride[NM_WINDOW_AXES] = {w->in[1] * w->in[2], w->in[2], 1};
    nm_patch p = {.n_padded = 1};

    for (int a = 0; a < NM_WINDOW_AXES; a++) {
        int64_t start = o[a] * w->stride[a] - w->pad[a], end, padded;

        inner_taps(w, a, o[a], &p.tap[a], &end);
        p.n[a] = end - p.tap[a];
        p.first += (start + p.tap[a] * w->dilation[a]) * stride[a];
        p.step[a] = w->dilation[a] * stride[a];
        padded = (w->in[a] + w->pad_end[a] - start + w->dilation[a] - 1) / w->dilation[a];
        p.n_padded *= padded < w->kernel[a] ? padded : w->kernel[a];
    }
    return p;
}
