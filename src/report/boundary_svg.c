/* Decision regions of a two-input classifier before and after a repair, as one SVG.
 *
 * Lengths are whole tenths of a pixel, so that no number is written with a locale's decimal sign.
 * Colours: Okabe & Ito, "Color universal design" (2008), distinguishable with colour-blind eyes;
 * hatching, marker shapes and border lines carry the same meaning without any colour. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/ctx.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "netmend/eval.h"
#include "netmend/report.h"
#include "report/axis.h"
#include "report/region.h"

enum {
    CELL = 20, /* of the grid the regions are drawn from */
    PLOT_WIDTH = 4800,
    MIN_PLOT_HEIGHT = 2800,
    MAX_PLOT_HEIGHT = 4800,
    FIRST_LEFT = 620, /* left side of the plots */
    SECOND_LEFT = FIRST_LEFT + PLOT_WIDTH + 640,
    PLOT_TOP = 1180,
    WIDTH = SECOND_LEFT + PLOT_WIDTH + 300,
    BELOW_PLOT = 720, /* tick labels and axis name */
    LEGEND_LINE = 280,
    MAX_ON_ONE_LINE = 5, /* classes; the signs go below more of them */
    MAX_CLASSES = 10,
    MAX_DRAWN = 2000 /* points of a set, about */
};

/* How a class looks: colour of its points, tint of its region, outline of its marker. */
typedef struct class_style {
    const char *colour, *tint, *marker;
} class_style;

static const class_style STYLES[MAX_CLASSES] = {
    {"#0072b2", "#d3e6f3", "M-38 0a38 38 0 1 0 76 0a38 38 0 1 0 -76 0z"},
    {"#d55e00", "#fbe2cb", "M-34 -34h68v68h-68z"},
    {"#009e73", "#cdeadf", "M0 -46L42 30H-42z"},
    {"#cc79a7", "#f5e0ec", "M0 -48L44 0L0 48L-44 0z"},
    {"#8a6d00", "#f3ebc4", "M0 46L42 -30H-42z"},
    {"#56b4e9", "#e2f2fc", "M-14 -44h28v30h30v28h-30v30h-28v-30h-30v-28h30z"},
    {"#5b3f9e", "#e2dcf1", "M0 -46L44 -14L27 38H-27L-44 -14z"},
    {"#7a7a7a", "#e9e9e9", "M-24 -42H24L48 0L24 42H-24L-48 0z"},
    {"#8b4513", "#ecdccf", "M-44 -24h88v48h-88z"},
    {"#111111", "#dcdcdc", "M-24 -44h48v88h-48z"},
};

/* The window onto input space that both panels show. */
typedef struct view {
    double x_lo, x_hi, y_lo, y_hi;
    int height; /* of the plot, a multiple of CELL */
} view;

typedef struct panel {
    const char *title;
    const nm_net *net;
    int left;
    float *scores;           /* at the corners of the grid */
    int64_t *classes;        /* predicted for the points ... */
    int64_t *repair_classes; /* ... and for the repair set; NULL without */
    int64_t n_right, n_repaired;
} panel;

typedef struct scene {
    nm_ctx *ctx;
    const nm_points *points, *repair_set;
    int64_t n_classes;
    view view;
    panel panels[2];
    FILE *to;
} scene;

/* -- what is asked -- */

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
    if (n_out < 2 || n_out > MAX_CLASSES)
        return nm_fail(err, NM_E_ARG,
                       "picture: decision regions can be drawn for 2 to %d classes, not %" PRId64,
                       MAX_CLASSES, n_out);
    if (nm_net_n_out(after) != n_out)
        return nm_fail(err, NM_E_ARG,
                       "picture: the network has %" PRId64 " classes before and %" PRId64
                       " after, expected as many",
                       n_out, nm_net_n_out(after));
    return NM_OK;
}

/* -- the window -- */

static void include_points(view *v, const nm_points *points)
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
static void fit_view(scene *s)
{
    view *v = &s->view;

    *v = (view){INFINITY, -INFINITY, INFINITY, -INFINITY, 0};
    include_points(v, s->points);
    if (s->repair_set)
        include_points(v, s->repair_set);
    add_margin(&v->x_lo, &v->x_hi);
    add_margin(&v->y_lo, &v->y_hi);

    double height = PLOT_WIDTH * ((v->y_hi - v->y_lo) / (v->x_hi - v->x_lo));

    height = fmin(fmax(height, MIN_PLOT_HEIGHT), MAX_PLOT_HEIGHT);
    v->height = CELL * (int)lround(height / CELL);
}

static int to_screen_x(const scene *s, const panel *p, double x)
{
    return p->left + (int)lround(PLOT_WIDTH * ((x - s->view.x_lo) / (s->view.x_hi - s->view.x_lo)));
}

static int to_screen_y(const scene *s, double y)
{
    return PLOT_TOP +
           (int)lround(s->view.height * ((s->view.y_hi - y) / (s->view.y_hi - s->view.y_lo)));
}

/* -- evaluation -- */

static nm_status classify(const scene *s, const nm_net *net, const nm_points *points,
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

static nm_status score_grid(const scene *s, panel *p, nm_err *err)
{
    int n_x = PLOT_WIDTH / CELL, n_y = s->view.height / CELL;
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

static nm_status evaluate_panel(const scene *s, panel *p, nm_err *err)
{
    nm_status rc = score_grid(s, p, err);

    if (rc == NM_OK)
        rc = classify(s, p->net, s->points, &p->classes, &p->n_right, err);
    if (rc == NM_OK && s->repair_set)
        rc = classify(s, p->net, s->repair_set, &p->repair_classes, &p->n_repaired, err);
    return rc;
}

/* -- drawing: shared pieces -- */

static void draw_head(const scene *s)
{
    int height = PLOT_TOP + s->view.height + BELOW_PLOT + LEGEND_LINE +
                 (s->n_classes > MAX_ON_ONE_LINE ? LEGEND_LINE : 0);

    (void)fprintf(s->to,
                  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                  "viewBox=\"0 0 %d %d\" role=\"img\" aria-labelledby=\"title desc\">\n"
                  "<title id=\"title\">Decision regions before and after the repair</title>\n"
                  "<desc id=\"desc\">Two plots over the same axes. Right before: %" PRId64
                  " of %" PRId64 " points. Right after: %" PRId64 " of %" PRId64 ".</desc>\n",
                  WIDTH / 10, height / 10, WIDTH, height, s->panels[0].n_right, s->points->n,
                  s->panels[1].n_right, s->points->n);
    (void)fprintf(s->to,
                  "<style>\n"
                  "text{font-family:system-ui,'Segoe UI','DejaVu Sans',Helvetica,Arial,sans-serif;"
                  "font-size:130px;fill:#222}\n"
                  ".title{font-size:230px;font-weight:600}\n"
                  ".panel{font-size:180px;font-weight:600}\n"
                  ".tick{font-size:120px;fill:#444}\n"
                  ".middle{text-anchor:middle}\n.end{text-anchor:end}\n"
                  ".axis{fill:none;stroke:#333;stroke-width:12}\n"
                  ".border{fill:none;stroke:#222;stroke-width:22;stroke-linecap:round}\n"
                  ".cross{fill:none;stroke:#000;stroke-width:15;stroke-linecap:round}\n"
                  ".ring{fill:none;stroke:#000;stroke-width:11}\n"
                  "</style>\n"
                  "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n"
                  "<text class=\"title middle\" x=\"%d\" y=\"380\">"
                  "Decision regions before and after the repair</text>\n",
                  WIDTH, height, WIDTH / 2);
}

/* Markers, and hatchings that tell the regions apart in print without colour. */
static void draw_definitions(const scene *s)
{
    (void)fprintf(s->to, "<defs>\n"
                         "<path id=\"cross\" d=\"M-46 -46L46 46M46 -46L-46 46\"/>\n"
                         "<circle id=\"ring\" r=\"70\"/>\n");
    for (int64_t c = 0; c < s->n_classes; c++) {
        const class_style *style = &STYLES[c];

        (void)fprintf(s->to,
                      "<path id=\"m%" PRId64 "\" d=\"%s\" fill=\"%s\" stroke=\"#fff\" "
                      "stroke-width=\"9\"/>\n"
                      "<pattern id=\"h%" PRId64 "\" width=\"100\" height=\"100\" "
                      "patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(%d)\">"
                      "<rect width=\"100\" height=\"100\" fill=\"%s\"/>",
                      c, style->marker, style->colour, c, 9 + 36 * (int)c, style->tint);
        if (c > 0)
            (void)fprintf(s->to,
                          "<path d=\"M0 50H100\" stroke=\"%s\" stroke-opacity=\".3\" "
                          "stroke-width=\"10\"/>",
                          style->colour);
        (void)fprintf(s->to, "</pattern>\n");
    }
    (void)fprintf(s->to, "</defs>\n");
}

static void draw_use(const scene *s, const char *what, int x, int y)
{
    (void)fprintf(s->to, "<use href=\"#%s\" x=\"%d\" y=\"%d\"/>\n", what, x, y);
}

static void draw_marker(const scene *s, int64_t c, int x, int y)
{
    (void)fprintf(s->to, "<use href=\"#m%" PRId64 "\" x=\"%d\" y=\"%d\"/>\n", c, x, y);
}

/* -- drawing: one panel -- */

/* "accuracy 83.8 % (402 of 480 right)"; 100 only when all are. */
static void draw_share(const scene *s, const char *what, int64_t n_right, int64_t n)
{
    int64_t tenths = (int64_t)(1000.0 * (double)n_right / (double)n + 0.5);

    if (tenths == 1000 && n_right < n)
        tenths = 999;
    (void)fprintf(s->to, "%s %" PRId64 ".%" PRId64 " %% (%" PRId64 " of %" PRId64 " right)", what,
                  tenths / 10, tenths % 10, n_right, n);
}

static void draw_panel_head(const scene *s, const panel *p)
{
    (void)fprintf(s->to,
                  "<text class=\"panel\" x=\"%d\" y=\"%d\">%s</text>\n<text x=\"%d\" y=\"%d\">",
                  p->left, PLOT_TOP - 340, p->title, p->left, PLOT_TOP - 120);
    draw_share(s, "accuracy", p->n_right, s->points->n);
    if (s->repair_set)
        (void)fprintf(s->to, " \xc2\xb7 repair set: %" PRId64 " of %" PRId64 " right",
                      p->n_repaired, s->repair_set->n);
    (void)fprintf(s->to, "</text>\n");
}

/* Class 0 is the ground that the others lie on: no gaps where three regions meet. */
static void draw_regions(const scene *s, const panel *p)
{
    const nm_grid grid = {PLOT_WIDTH / CELL, s->view.height / CELL, s->n_classes, p->scores};

    (void)fprintf(s->to, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"url(#h0)\"/>\n",
                  p->left, PLOT_TOP, PLOT_WIDTH, s->view.height);
    for (int64_t c = 1; c < s->n_classes; c++) {
        (void)fprintf(s->to, "<path fill=\"url(#h%" PRId64 ")\" d=\"", c);
        (void)nm_region_write_area(&grid, c, p->left, PLOT_TOP, CELL, s->to);
        (void)fprintf(s->to, "\"/>\n<path class=\"border\" d=\"");
        (void)nm_region_write_border(&grid, c, p->left, PLOT_TOP, CELL, s->to);
        (void)fprintf(s->to, "\"/>\n");
    }
}

static void draw_x_axis(const scene *s, const panel *p)
{
    const nm_ticks ticks = nm_ticks_for(s->view.x_lo, s->view.x_hi, 7);
    int bottom = PLOT_TOP + s->view.height;
    char text[64];

    for (int64_t k = ticks.first; k <= ticks.last; k++) {
        int x = to_screen_x(s, p, nm_tick_value(&ticks, k));

        (void)fprintf(s->to,
                      "<path class=\"axis\" d=\"M%d %dv50\"/>"
                      "<text class=\"tick middle\" x=\"%d\" y=\"%d\">%s</text>\n",
                      x, bottom, x, bottom + 180, nm_tick_text(&ticks, k, text, sizeof text));
    }
    (void)fprintf(s->to, "<text class=\"middle\" x=\"%d\" y=\"%d\">input 0</text>\n",
                  p->left + PLOT_WIDTH / 2, bottom + 380);
}

static void draw_y_axis(const scene *s, const panel *p)
{
    const nm_ticks ticks = nm_ticks_for(s->view.y_lo, s->view.y_hi, 5);
    int name_x = p->left - 420, name_y = PLOT_TOP + s->view.height / 2;
    char text[64];

    for (int64_t k = ticks.first; k <= ticks.last; k++) {
        int y = to_screen_y(s, nm_tick_value(&ticks, k));

        (void)fprintf(s->to,
                      "<path class=\"axis\" d=\"M%d %dh-50\"/>"
                      "<text class=\"tick end\" x=\"%d\" y=\"%d\">%s</text>\n",
                      p->left, y, p->left - 85, y + 42, nm_tick_text(&ticks, k, text, sizeof text));
    }
    (void)fprintf(s->to,
                  "<text class=\"middle\" transform=\"translate(%d %d) rotate(-90)\">input 1"
                  "</text>\n",
                  name_x, name_y);
}

/* Of very many points a random share is drawn: every second one, say, could leave out a class. */
static bool is_drawn(const nm_points *points, int64_t i)
{
    nm_rng rng = {.index = (uint64_t)i};

    return nm_rng_uniform(&rng) * (double)points->n < MAX_DRAWN;
}

/* Markers of a set of points, then crosses over those that are wrong. */
static void draw_points(const scene *s, const panel *p, const nm_points *points,
                        const int64_t *classes, bool ringed)
{
    for (int64_t i = 0; i < points->n; i++)
        if (is_drawn(points, i))
            draw_marker(s, points->labels[i], to_screen_x(s, p, (double)points->x[2 * i]),
                        to_screen_y(s, (double)points->x[2 * i + 1]));
    (void)fprintf(s->to, "<g class=\"cross\">\n");
    for (int64_t i = 0; i < points->n; i++)
        if (classes[i] != points->labels[i] && is_drawn(points, i))
            draw_use(s, "cross", to_screen_x(s, p, (double)points->x[2 * i]),
                     to_screen_y(s, (double)points->x[2 * i + 1]));
    (void)fprintf(s->to, "</g>\n<g class=\"ring\">\n");
    for (int64_t i = 0; ringed && i < points->n; i++)
        if (is_drawn(points, i))
            draw_use(s, "ring", to_screen_x(s, p, (double)points->x[2 * i]),
                     to_screen_y(s, (double)points->x[2 * i + 1]));
    (void)fprintf(s->to, "</g>\n");
}

static void draw_panel(const scene *s, const panel *p)
{
    draw_panel_head(s, p);
    draw_regions(s, p);
    draw_points(s, p, s->points, p->classes, false);
    if (s->repair_set)
        draw_points(s, p, s->repair_set, p->repair_classes, true);
    draw_x_axis(s, p);
    draw_y_axis(s, p);
    (void)fprintf(s->to, "<rect class=\"axis\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>\n",
                  p->left, PLOT_TOP, PLOT_WIDTH, s->view.height);
}

/* -- drawing: the legend -- */

enum { CLASS_ENTRY = 1000, WORD_ENTRY = 1500 };

static void draw_class_entry(const scene *s, int64_t c, int x, int y)
{
    (void)fprintf(s->to,
                  "<rect x=\"%d\" y=\"%d\" width=\"240\" height=\"170\" fill=\"url(#h%" PRId64
                  ")\" stroke=\"#333\" stroke-width=\"8\"/>\n",
                  x, y - 85, c);
    draw_marker(s, c, x + 120, y);
    (void)fprintf(s->to, "<text x=\"%d\" y=\"%d\">class %" PRId64 "</text>\n", x + 310, y + 45, c);
}

static void draw_word_entry(const scene *s, const char *sign, const char *words, int x, int y)
{
    (void)fprintf(s->to, "<g class=\"%s\">\n", sign);
    draw_use(s, sign, x + 120, y);
    (void)fprintf(s->to, "</g>\n<text x=\"%d\" y=\"%d\">%s</text>\n", x + 250, y + 45, words);
}

/* Classes and signs on one line, or the signs below many classes. */
static void draw_legend(const scene *s)
{
    bool one_line = s->n_classes <= MAX_ON_ONE_LINE;
    int class_width = (int)s->n_classes * CLASS_ENTRY;
    int word_width = (s->repair_set ? 2 : 1) * WORD_ENTRY;
    int x = (WIDTH - class_width - (one_line ? word_width : 0)) / 2;
    int y = PLOT_TOP + s->view.height + BELOW_PLOT;

    for (int64_t c = 0; c < s->n_classes; c++, x += CLASS_ENTRY)
        draw_class_entry(s, c, x, y);
    if (!one_line) {
        x = (WIDTH - word_width) / 2;
        y += LEGEND_LINE;
    }
    draw_word_entry(s, "cross", "classified wrong", x, y);
    if (s->repair_set)
        draw_word_entry(s, "ring", "in the repair set", x + WORD_ENTRY, y);
    if (s->points->n > MAX_DRAWN)
        (void)fprintf(s->to,
                      "<text class=\"tick end\" x=\"%d\" y=\"%d\">about %d of %" PRId64
                      " points are drawn</text>\n",
                      SECOND_LEFT + PLOT_WIDTH, y + 45, MAX_DRAWN, s->points->n);
}

/* -- all together -- */

static nm_status write_scene(scene *s, const char *path, nm_err *err)
{
    nm_writer writer;
    nm_status rc = nm_writer_open(&writer, path, err);

    if (rc != NM_OK)
        return rc;
    s->to = writer.stream;
    draw_head(s);
    draw_definitions(s);
    draw_panel(s, &s->panels[0]);
    draw_panel(s, &s->panels[1]);
    draw_legend(s);
    (void)fprintf(s->to, "</svg>\n");
    return nm_writer_commit(&writer, err);
}

nm_status nm_boundary_svg(nm_ctx *ctx, const nm_net *before, const nm_net *after,
                          const nm_points *points, const nm_points *repair_set, const char *path,
                          nm_err *err)
{
    scene s = {.ctx = ctx,
               .points = points,
               .repair_set = repair_set && repair_set->n > 0 ? repair_set : NULL,
               .n_classes = nm_net_n_out(before),
               .panels = {{.title = "before", .net = before, .left = FIRST_LEFT},
                          {.title = "after", .net = after, .left = SECOND_LEFT}}};
    nm_status rc = NM_OK;

    NM_TRY(check_nets(before, after, err));
    NM_TRY(check_labels(points, "points", s.n_classes, err));
    if (s.repair_set)
        NM_TRY(check_labels(s.repair_set, "repair set", s.n_classes, err));
    fit_view(&s);
    NM_TRY(evaluate_panel(&s, &s.panels[0], err));
    NM_TRY(evaluate_panel(&s, &s.panels[1], err));
    NM_TRY(write_scene(&s, path, err));
done:
    for (int k = 0; k < 2; k++) {
        nm_free(s.panels[k].scores);
        nm_free(s.panels[k].classes);
        nm_free(s.panels[k].repair_classes);
    }
    return rc;
}
