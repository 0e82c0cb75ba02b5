/* The curve as a picture. Lengths are whole tenths of a pixel, and numbers are written by
 * report/axis.h, so that no locale's decimal sign gets in. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/file.h"
#include "netmend/curve.h"
#include "report/axis.h"

enum {
    LEFT = 1100,
    TOP = 900,
    PLOT_WIDTH = 5600,
    PLOT_HEIGHT = 3600,
    WIDTH = LEFT + PLOT_WIDTH + 400,
    LEGEND_TOP = TOP + PLOT_HEIGHT + 760,
    LEGEND_ENTRY = 1700,
    HEIGHT = LEGEND_TOP + 320,
    N_STYLES = 4
};

/* Lines differ by colour, dashes and markers; the colours are of Okabe & Ito (2008). */
static const struct {
    const char *colour, *dash, *marker;
} STYLES[N_STYLES] = {
    {"#0072b2", "none", "M-42 0a42 42 0 1 0 84 0a42 42 0 1 0 -84 0z"},
    {"#d55e00", "180 90", "M-38 -38h76v76h-76z"},
    {"#009e73", "60 70", "M0 -50L46 34H-46z"},
    {"#cc79a7", "220 70 50 70", "M0 -52L48 0L0 52L-48 0z"},
};

struct chart {
    const nm_curve *curve;
    FILE *to;
    double x_lo, x_hi, y_lo, y_hi;
};

/* -- what is drawn ------------------------------------------------------------------------ */

static double height_of(const nm_curve *curve, const nm_curve_point *p)
{
    return curve->has_test ? p->drawdown_points : p->divergence;
}

static bool is_drawn(const nm_curve *curve, const nm_curve_point *p)
{
    return p->outcome == NM_REPAIRED && isfinite(height_of(curve, p));
}

/* The line that a point belongs to: dampings in the order in which they come. */
static int line_of(const nm_curve *curve, int i)
{
    int line = 0;

    for (int k = 1; k <= i; k++)
        line += curve->points[k].damping_factor != curve->points[k - 1].damping_factor &&
                !isnan(curve->points[k].damping_factor);
    return line;
}

static bool fit(struct chart *c)
{
    const nm_curve *curve = c->curve;
    bool any = false;

    c->x_lo = c->y_lo = 0;
    for (int i = 0; i < curve->n; i++) {
        const nm_curve_point *p = &curve->points[i];

        if (!is_drawn(curve, p))
            continue;
        any = true;
        c->x_hi = fmax(c->x_hi, 1.05 * p->margin);
        c->y_lo = fmin(c->y_lo, 1.1 * height_of(curve, p));
        c->y_hi = fmax(c->y_hi, 1.1 * height_of(curve, p));
    }
    if (!(c->y_hi > c->y_lo))
        c->y_hi = c->y_lo + 1;
    return any;
}

static int screen_x(const struct chart *c, double x)
{
    return LEFT + (int)lround(PLOT_WIDTH * ((x - c->x_lo) / (c->x_hi - c->x_lo)));
}

static int screen_y(const struct chart *c, double y)
{
    return TOP + (int)lround(PLOT_HEIGHT * ((c->y_hi - y) / (c->y_hi - c->y_lo)));
}

/* -- pieces ------------------------------------------------------------------------------- */

static void draw_head(const struct chart *c)
{
    (void)fprintf(c->to,
                  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                  "viewBox=\"0 0 %d %d\" role=\"img\" aria-labelledby=\"title desc\">\n"
                  "<title id=\"title\">What a repair costs</title>\n"
                  "<desc id=\"desc\">%s against the margin asked of %" PRId64
                  " repaired points, one line for each damping.</desc>\n",
                  WIDTH / 10, HEIGHT / 10, WIDTH, HEIGHT,
                  c->curve->has_test ? "Accuracy lost on the test set"
                                     : "Divergence of the outputs on the reference points",
                  c->curve->n_repair);
    (void)fprintf(c->to,
                  "<style>\n"
                  "text{font-family:system-ui,'Segoe UI','DejaVu Sans',Helvetica,Arial,sans-serif;"
                  "font-size:150px;fill:#222}\n"
                  ".title{font-size:230px;font-weight:600}\n.tick{font-size:130px;fill:#444}\n"
                  ".middle{text-anchor:middle}\n.end{text-anchor:end}\n"
                  ".axis{fill:none;stroke:#333;stroke-width:12}\n"
                  ".grid{fill:none;stroke:#ddd;stroke-width:8}\n"
                  ".line{fill:none;stroke-width:24}\n"
                  "</style>\n"
                  "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n"
                  "<text class=\"title middle\" x=\"%d\" y=\"420\">What a repair costs</text>\n",
                  WIDTH, HEIGHT, WIDTH / 2);
}

static void draw_axes(const struct chart *c)
{
    nm_ticks x = nm_ticks_for(c->x_lo, c->x_hi, 7), y = nm_ticks_for(c->y_lo, c->y_hi, 6);
    char text[32];

    for (int64_t k = x.first; k <= x.last; k++)
        (void)fprintf(c->to, "<text class=\"tick middle\" x=\"%d\" y=\"%d\">%s</text>\n",
                      screen_x(c, nm_tick_value(&x, k)), TOP + PLOT_HEIGHT + 210,
                      nm_tick_text(&x, k, text, sizeof text));
    for (int64_t k = y.first; k <= y.last; k++) {
        int at = screen_y(c, nm_tick_value(&y, k));

        (void)fprintf(c->to,
                      "<path class=\"grid\" d=\"M%d %dh%d\"/>\n"
                      "<text class=\"tick end\" x=\"%d\" y=\"%d\">%s</text>\n",
                      LEFT, at, PLOT_WIDTH, LEFT - 80, at + 45,
                      nm_tick_text(&y, k, text, sizeof text));
    }
    (void)fprintf(c->to,
                  "<path class=\"axis\" d=\"M%d %dv%dh%d\"/>\n"
                  "<text class=\"middle\" x=\"%d\" y=\"%d\">margin (output units)</text>\n"
                  "<text class=\"middle\" transform=\"translate(330 %d) rotate(-90)\">%s</text>\n",
                  LEFT, TOP, PLOT_HEIGHT, PLOT_WIDTH, LEFT + PLOT_WIDTH / 2,
                  TOP + PLOT_HEIGHT + 450, TOP + PLOT_HEIGHT / 2,
                  c->curve->has_test ? "drawdown on the test set (points)"
                                     : "divergence on reference points (nats)");
}

static void draw_marker(const struct chart *c, int line, int x, int y)
{
    (void)fprintf(c->to,
                  "<path d=\"%s\" fill=\"%s\" stroke=\"#fff\" stroke-width=\"9\" "
                  "transform=\"translate(%d %d)\"/>\n",
                  STYLES[line % N_STYLES].marker, STYLES[line % N_STYLES].colour, x, y);
}

static void draw_line(const struct chart *c, int line)
{
    const nm_curve *curve = c->curve;
    char command = 'M';

    (void)fprintf(c->to, "<path class=\"line\" stroke=\"%s\" stroke-dasharray=\"%s\" d=\"",
                  STYLES[line % N_STYLES].colour, STYLES[line % N_STYLES].dash);
    for (int i = 0; i < curve->n; i++)
        if (line_of(curve, i) == line && is_drawn(curve, &curve->points[i])) {
            (void)fprintf(c->to, "%c%d %d", command, screen_x(c, curve->points[i].margin),
                          screen_y(c, height_of(curve, &curve->points[i])));
            command = 'L';
        }
    (void)fprintf(c->to, "\"/>\n");
    for (int i = 0; i < curve->n; i++)
        if (line_of(curve, i) == line && is_drawn(curve, &curve->points[i]))
            draw_marker(c, line, screen_x(c, curve->points[i].margin),
                        screen_y(c, height_of(curve, &curve->points[i])));
}

/* Factors are written as whole numbers, or as one over a whole number. */
static void draw_factor(const struct chart *c, double factor)
{
    if (isnan(factor))
        (void)fprintf(c->to, "as asked");
    else if (factor >= 1)
        (void)fprintf(c->to, "damping \xc3\x97 %lld", (long long)llround(factor));
    else
        (void)fprintf(c->to, "damping / %lld", (long long)llround(1 / factor));
}

static void draw_legend(const struct chart *c)
{
    int n_lines = line_of(c->curve, c->curve->n - 1) + 1;
    int x = LEFT + (PLOT_WIDTH - n_lines * LEGEND_ENTRY) / 2, drawn = -1;

    for (int i = 0; i < c->curve->n; i++) {
        int line = line_of(c->curve, i);

        if (line == drawn)
            continue;
        drawn = line;
        draw_line(c, line);
        (void)fprintf(
            c->to,
            "<path class=\"line\" stroke=\"%s\" stroke-dasharray=\"%s\" d=\"M%d %dh450\"/>\n",
            STYLES[line % N_STYLES].colour, STYLES[line % N_STYLES].dash, x + line * LEGEND_ENTRY,
            LEGEND_TOP);
        draw_marker(c, line, x + line * LEGEND_ENTRY + 225, LEGEND_TOP);
        (void)fprintf(c->to, "<text x=\"%d\" y=\"%d\">", x + line * LEGEND_ENTRY + 540,
                      LEGEND_TOP + 50);
        draw_factor(c, c->curve->points[i].damping_factor);
        (void)fprintf(c->to, "</text>\n");
    }
}

nm_status nm_curve_svg(const nm_curve *curve, const char *path, nm_err *err)
{
    struct chart c = {.curve = curve};
    nm_writer writer;
    nm_status rc;

    if (!fit(&c))
        return nm_fail(err, NM_E_ARG, "%s: no repair of the curve succeeded, nothing to draw",
                       path);
    rc = nm_writer_open(&writer, path, err);
    if (rc != NM_OK)
        return rc;
    c.to = writer.stream;
    draw_head(&c);
    draw_axes(&c);
    draw_legend(&c);
    (void)fprintf(c.to, "</svg>\n");
    return nm_writer_commit(&writer, err);
}
