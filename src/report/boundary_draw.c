/* The document: text, regions, axes, points and legend as SVG.
 *
 * The first colours are those of Okabe & Ito, "Color universal design" (2008), which colour-blind
 * eyes can tell apart; hatching, markers and border lines say the same without any colour. */
#include <inttypes.h>
#include <math.h>

#include "base/rng.h"
#include "report/axis.h"
#include "report/boundary.h"
#include "report/region.h"

enum {
    FIRST_LEFT = 620, /* left sides of the plots */
    SECOND_LEFT = FIRST_LEFT + NM_BOUNDARY_WIDTH + 640,
    PLOT_TOP = 1180,
    WIDTH = SECOND_LEFT + NM_BOUNDARY_WIDTH + 300,
    BELOW_PLOT = 720, /* tick labels and axis name */
    LEGEND_LINE = 280,
    MAX_ON_ONE_LINE = 5, /* classes; the signs go below more of them */
    MAX_DRAWN = 2000     /* points of a set, about */
};

/* How a class looks: colour of its points, tint of its region, outline of its marker. */
typedef struct class_style {
    const char *colour, *tint, *marker;
} class_style;

static const class_style STYLES[NM_BOUNDARY_MAX_CLASSES] = {
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

/* -- places ------------------------------------------------------------------------------ */

static int left_of(const nm_boundary_scene *s, const nm_boundary_panel *p)
{
    return p == &s->panels[0] ? FIRST_LEFT : SECOND_LEFT;
}

static int to_screen_x(const nm_boundary_scene *s, const nm_boundary_panel *p, double x)
{
    return left_of(s, p) +
           (int)lround(NM_BOUNDARY_WIDTH * ((x - s->view.x_lo) / (s->view.x_hi - s->view.x_lo)));
}

static int to_screen_y(const nm_boundary_scene *s, double y)
{
    return PLOT_TOP +
           (int)lround(s->view.height * ((s->view.y_hi - y) / (s->view.y_hi - s->view.y_lo)));
}

/* -- shared pieces ----------------------------------------------------------------------- */

static void draw_head(const nm_boundary_scene *s)
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
static void draw_definitions(const nm_boundary_scene *s)
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

static void draw_use(const nm_boundary_scene *s, const char *what, int x, int y)
{
    (void)fprintf(s->to, "<use href=\"#%s\" x=\"%d\" y=\"%d\"/>\n", what, x, y);
}

static void draw_marker(const nm_boundary_scene *s, int64_t c, int x, int y)
{
    (void)fprintf(s->to, "<use href=\"#m%" PRId64 "\" x=\"%d\" y=\"%d\"/>\n", c, x, y);
}

/* -- one panel --------------------------------------------------------------------------- */

/* "accuracy 83.8 % (402 of 480 right)"; 100 only when all are. */
static void draw_share(const nm_boundary_scene *s, const char *what, int64_t n_right, int64_t n)
{
    int64_t tenths = (int64_t)(1000.0 * (double)n_right / (double)n + 0.5);

    if (tenths == 1000 && n_right < n)
        tenths = 999;
    (void)fprintf(s->to, "%s %" PRId64 ".%" PRId64 " %% (%" PRId64 " of %" PRId64 " right)", what,
                  tenths / 10, tenths % 10, n_right, n);
}

static void draw_panel_head(const nm_boundary_scene *s, const nm_boundary_panel *p)
{
    (void)fprintf(s->to,
                  "<text class=\"panel\" x=\"%d\" y=\"%d\">%s</text>\n<text x=\"%d\" y=\"%d\">",
                  left_of(s, p), PLOT_TOP - 340, p->title, left_of(s, p), PLOT_TOP - 120);
    draw_share(s, "accuracy", p->n_right, s->points->n);
    if (s->repair_set)
        (void)fprintf(s->to, " \xc2\xb7 repair set: %" PRId64 " of %" PRId64 " right",
                      p->n_repaired, s->repair_set->n);
    (void)fprintf(s->to, "</text>\n");
}

/* Class 0 is the ground that the others lie on: no gaps where three regions meet. */
static void draw_regions(const nm_boundary_scene *s, const nm_boundary_panel *p)
{
    const nm_grid grid = {NM_BOUNDARY_WIDTH / NM_BOUNDARY_CELL, s->view.height / NM_BOUNDARY_CELL,
                          s->n_classes, p->scores};

    (void)fprintf(s->to, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"url(#h0)\"/>\n",
                  left_of(s, p), PLOT_TOP, NM_BOUNDARY_WIDTH, s->view.height);
    for (int64_t c = 1; c < s->n_classes; c++) {
        (void)fprintf(s->to, "<path fill=\"url(#h%" PRId64 ")\" d=\"", c);
        (void)nm_region_write_area(&grid, c, left_of(s, p), PLOT_TOP, NM_BOUNDARY_CELL, s->to);
        (void)fprintf(s->to, "\"/>\n<path class=\"border\" d=\"");
        (void)nm_region_write_border(&grid, c, left_of(s, p), PLOT_TOP, NM_BOUNDARY_CELL, s->to);
        (void)fprintf(s->to, "\"/>\n");
    }
}

static void draw_x_axis(const nm_boundary_scene *s, const nm_boundary_panel *p)
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
                  left_of(s, p) + NM_BOUNDARY_WIDTH / 2, bottom + 380);
}

static void draw_y_axis(const nm_boundary_scene *s, const nm_boundary_panel *p)
{
    const nm_ticks ticks = nm_ticks_for(s->view.y_lo, s->view.y_hi, 5);
    int name_x = left_of(s, p) - 420, name_y = PLOT_TOP + s->view.height / 2;
    char text[64];

    for (int64_t k = ticks.first; k <= ticks.last; k++) {
        int y = to_screen_y(s, nm_tick_value(&ticks, k));

        (void)fprintf(s->to,
                      "<path class=\"axis\" d=\"M%d %dh-50\"/>"
                      "<text class=\"tick end\" x=\"%d\" y=\"%d\">%s</text>\n",
                      left_of(s, p), y, left_of(s, p) - 85, y + 42,
                      nm_tick_text(&ticks, k, text, sizeof text));
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
static void draw_points(const nm_boundary_scene *s, const nm_boundary_panel *p,
                        const nm_points *points, const int64_t *classes, bool ringed)
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

static void draw_panel(const nm_boundary_scene *s, const nm_boundary_panel *p)
{
    draw_panel_head(s, p);
    draw_regions(s, p);
    draw_points(s, p, s->points, p->classes, false);
    if (s->repair_set)
        draw_points(s, p, s->repair_set, p->repair_classes, true);
    draw_x_axis(s, p);
    draw_y_axis(s, p);
    (void)fprintf(s->to, "<rect class=\"axis\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>\n",
                  left_of(s, p), PLOT_TOP, NM_BOUNDARY_WIDTH, s->view.height);
}

/* -- the legend -------------------------------------------------------------------------- */

enum { CLASS_ENTRY = 1000, WORD_ENTRY = 1500 };

static void draw_class_entry(const nm_boundary_scene *s, int64_t c, int x, int y)
{
    (void)fprintf(s->to,
                  "<rect x=\"%d\" y=\"%d\" width=\"240\" height=\"170\" fill=\"url(#h%" PRId64
                  ")\" stroke=\"#333\" stroke-width=\"8\"/>\n",
                  x, y - 85, c);
    draw_marker(s, c, x + 120, y);
    (void)fprintf(s->to, "<text x=\"%d\" y=\"%d\">class %" PRId64 "</text>\n", x + 310, y + 45, c);
}

static void draw_word_entry(const nm_boundary_scene *s, const char *sign, const char *words, int x,
                            int y)
{
    (void)fprintf(s->to, "<g class=\"%s\">\n", sign);
    draw_use(s, sign, x + 120, y);
    (void)fprintf(s->to, "</g>\n<text x=\"%d\" y=\"%d\">%s</text>\n", x + 250, y + 45, words);
}

/* Classes and signs on one line, or the signs below many classes. */
static void draw_legend(const nm_boundary_scene *s)
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
                      SECOND_LEFT + NM_BOUNDARY_WIDTH, y + 45, MAX_DRAWN, s->points->n);
}

void nm_boundary_draw(const nm_boundary_scene *s)
{
    draw_head(s);
    draw_definitions(s);
    draw_panel(s, &s->panels[0]);
    draw_panel(s, &s->panels[1]);
    draw_legend(s);
    (void)fprintf(s->to, "</svg>\n");
}
