/* Decision regions of a two-input classifier before and after a repair: checks, the window onto
 * input space, and everything that has to be evaluated. */
#include "report/boundary.h"

#include <inttypes.h>
#include <math.h>

#include "base/file.h"
#include "base/mem.h"
#include "netmend/eval.h"

enum { MIN_HEIGHT = 2800, MAX_HEIGHT = 4800 };

/* -- what is asked ----------------------------------------------------------------------- */

static nm_status check_labels(const nm_points *points, const char *what, int64_t n_classes,
                              nm_err *err)
{
    if (points->n < 1)
        return nm_fail(err, NM_E_ARG, "picture: there are no %s", what);
    if (points->n_in != 2)
        return nm_fail(err, NM_E_SHAPE, "picture: the %s have %" PRId64 " inputs, expected 2", what,
                       points->n_in);
    if (!points->labels)
        return nm_fail(err, NM_E_ARG, "picture: the %s have no labels", what);
    for (int64_t i = 0; i < points->n; i++) {
        if (!isfinite(points->x[2 * i]) || !isfinite(points->x[2 * i + 1]))
            return nm_fail(err, NM_E_ARG, "picture: point %" PRId64 " of the %s is not finite", i,
                           what);
        if (points->labels[i] < 0 || points->labels[i] >= n_classes)
            return nm_fail(err, NM_E_ARG,
                           "picture: point %" PRId64 " of the %s has label %" PRId64
                           ", expected 0 to %" PRId64,
                           i, what, points->labels[i], n_classes - 1);
    }
    return NM_OK;
}

static nm_status check_nets(const nm_net *before, const nm_net *after, nm_err *err)
{
    int64_t n_out = nm_net_n_out(before);

    if (nm_net_n_in(before) != 2 || nm_net_n_in(after) != 2)
        return nm_fail(err, NM_E_ARG,
                       "picture: decision regions can be drawn of networks with 2 inputs, not "
                       "%" PRId64,
                       nm_net_n_in(before) != 2 ? nm_net_n_in(before) : nm_net_n_in(after));
    if (n_out < 2 || n_out > NM_BOUNDARY_MAX_CLASSES)
        return nm_fail(err, NM_E_ARG,
                       "picture: decision regions can be drawn for 2 to %d classes, not %" PRId64,
                       NM_BOUNDARY_MAX_CLASSES, n_out);
    if (nm_net_n_out(after) != n_out)
        return nm_fail(err, NM_E_ARG,
                       "picture: the network has %" PRId64 " classes before and %" PRId64
                       " after, expected as many",
                       n_out, nm_net_n_out(after));
    return NM_OK;
}

/* -- the window -------------------------------------------------------------------------- */

static void include_points(nm_boundary_view *v, const nm_points *points)
{
    for (int64_t i = 0; i < points->n; i++) {
        double x = (double)points->x[2 * i], y = (double)points->x[2 * i + 1];

        v->x_lo = fmin(v->x_lo, x);
        v->x_hi = fmax(v->x_hi, x);
        v->y_lo = fmin(v->y_lo, y);
        v->y_hi = fmax(v->y_hi, y);
    }
}

static void add_margin(double *lo, double *hi)
{
    double margin = 0.07 * (*hi - *lo);

    /* Points on one line across: a window of some width all the same. */
    if (margin < 1e-5 * fmax(fabs(*lo), fabs(*hi)) || margin == 0.0)
        margin = fmax(0.5 * fabs(*hi), 1e-3);
    *lo -= margin;
    *hi += margin;
}

/* Room for all points; the same scale on both axes where the plot stays of a handy shape. */
static void fit_view(nm_boundary_scene *s)
{
    nm_boundary_view *v = &s->view;

    *v = (nm_boundary_view){INFINITY, -INFINITY, INFINITY, -INFINITY, 0};
    include_points(v, s->points);
    if (s->repair_set)
        include_points(v, s->repair_set);
    add_margin(&v->x_lo, &v->x_hi);
    add_margin(&v->y_lo, &v->y_hi);

    double height = NM_BOUNDARY_WIDTH * ((v->y_hi - v->y_lo) / (v->x_hi - v->x_lo));

    height = fmin(fmax(height, MIN_HEIGHT), MAX_HEIGHT);
    v->height = NM_BOUNDARY_CELL * (int)lround(height / NM_BOUNDARY_CELL);
}

/* -- evaluation -------------------------------------------------------------------------- */

static nm_status classify(const nm_boundary_scene *s, const nm_net *net, const nm_points *points,
                          int64_t **classes, int64_t *n_right, nm_err *err)
{
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(classes, (size_t)points->n, sizeof **classes, err));
    NM_TRY(nm_predict(s->ctx, net, points->x, points->n, *classes, err));
    *n_right = 0;
    for (int64_t i = 0; i < points->n; i++)
        *n_right += (*classes)[i] == points->labels[i];
done:
    return rc;
}

static nm_status score_grid(const nm_boundary_scene *s, nm_boundary_panel *p, nm_err *err)
{
    int n_x = NM_BOUNDARY_WIDTH / NM_BOUNDARY_CELL, n_y = s->view.height / NM_BOUNDARY_CELL;
    size_t n = (size_t)(n_x + 1) * (size_t)(n_y + 1);
    nm_status rc = NM_OK;
    float *x = NULL;

    NM_TRY(nm_alloc(&x, n, 2 * sizeof *x, err));
    NM_TRY(nm_alloc(&p->scores, n, (size_t)s->n_classes * sizeof *p->scores, err));
    for (int iy = 0; iy <= n_y; iy++)
        for (int ix = 0; ix <= n_x; ix++) {
            float *at = x + 2 * (iy * (n_x + 1) + ix);

            at[0] = (float)(s->view.x_lo + (s->view.x_hi - s->view.x_lo) * ix / n_x);
            at[1] = (float)(s->view.y_hi - (s->view.y_hi - s->view.y_lo) * iy / n_y);
        }
    NM_TRY(nm_net_forward_f32(s->ctx, p->net, x, (int64_t)n, p->scores, err));
done:
    nm_free(x);
    return rc;
}

static nm_status evaluate_panel(const nm_boundary_scene *s, nm_boundary_panel *p, nm_err *err)
{
    nm_status rc = score_grid(s, p, err);

    if (rc == NM_OK)
        rc = classify(s, p->net, s->points, &p->classes, &p->n_right, err);
    if (rc == NM_OK && s->repair_set)
        rc = classify(s, p->net, s->repair_set, &p->repair_classes, &p->n_repaired, err);
    return rc;
}

/* -- all together ------------------------------------------------------------------------ */

nm_status nm_boundary_write(nm_ctx *ctx, const nm_net *before, const nm_net *after,
                            const nm_points *points, const nm_points *repair_set, FILE *to,
                            nm_err *err)
{
    nm_boundary_scene s = {
        .ctx = ctx,
        .points = points,
        .repair_set = repair_set && repair_set->n > 0 ? repair_set : NULL,
        .n_classes = nm_net_n_out(before),
        .to = to,
        .panels = {{.title = "before", .net = before}, {.title = "after", .net = after}}};
    nm_status rc = NM_OK;

    NM_TRY(check_nets(before, after, err));
    NM_TRY(check_labels(points, "points", s.n_classes, err));
    if (s.repair_set)
        NM_TRY(check_labels(s.repair_set, "repair set", s.n_classes, err));
    fit_view(&s);
    NM_TRY(evaluate_panel(&s, &s.panels[0], err));
    NM_TRY(evaluate_panel(&s, &s.panels[1], err));
    nm_boundary_draw(&s);
done:
    for (int k = 0; k < 2; k++) {
        nm_free(s.panels[k].scores);
        nm_free(s.panels[k].classes);
        nm_free(s.panels[k].repair_classes);
    }
    return rc;
}

nm_status nm_boundary_svg(nm_ctx *ctx, const nm_net *before, const nm_net *after,
                          const nm_points *points, const nm_points *repair_set, const char *path,
                          nm_err *err)
{
    nm_writer writer;
    nm_status rc = nm_writer_open(&writer, path, err);

    if (rc != NM_OK)
        return rc;
    rc = nm_boundary_write(ctx, before, after, points, repair_set, writer.stream, err);
    if (rc == NM_OK)
        return nm_writer_commit(&writer, err);
    nm_writer_abort(&writer);
    return rc;
}
