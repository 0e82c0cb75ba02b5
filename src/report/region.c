#include "report/region.h"

#include <math.h>

enum { MAX_CORNERS = 8 }; /* of what one cell and a region share */

/* Corner of a polygon; on_border: it and the next such one are joined by the region's border. */
typedef struct corner {
    int x, y;
    bool on_border;
} corner;

/* What writing one region needs. */
typedef struct region {
    const nm_grid *grid;
    int64_t c;
    int x0, y0, cell;
    FILE *to;
} region;

/* How far class c leads at a corner of the grid: > 0 inside its region. */
static double lead(const nm_grid *grid, int64_t c, int ix, int iy)
{
    const float *scores = grid->scores + ((int64_t)iy * (grid->n_x + 1) + ix) * grid->n_classes;
    double best_other = -INFINITY;

    for (int64_t k = 0; k < grid->n_classes; k++)
        if (k != c && (double)scores[k] > best_other)
            best_other = (double)scores[k];
    return (double)scores[c] - best_other;
}

/* The four corners of a cell, clockwise on the screen. */
static const int CORNER_X[4] = {0, 1, 1, 0}, CORNER_Y[4] = {0, 0, 1, 1};

static void find_leads(const region *r, int ix, int iy, double f[4])
{
    for (int k = 0; k < 4; k++)
        f[k] = lead(r->grid, r->c, ix + CORNER_X[k], iy + CORNER_Y[k]);
}

static bool all_inside(const double f[4])
{
    return f[0] > 0.0 && f[1] > 0.0 && f[2] > 0.0 && f[3] > 0.0;
}

/* Where the lead vanishes on the side from corner k to the next one. */
static corner crossing(const region *r, int ix, int iy, const double f[4], int k)
{
    int next = (k + 1) % 4;
    double t = f[k] / (f[k] - f[next]);

    if (!(t >= 0.0 && t <= 1.0))
        t = 0.5; /* scores beyond all bounds */
    double x = ix + CORNER_X[k] + t * (CORNER_X[next] - CORNER_X[k]);
    double y = iy + CORNER_Y[k] + t * (CORNER_Y[next] - CORNER_Y[k]);

    return (corner){r->x0 + (int)lround(x * r->cell), r->y0 + (int)lround(y * r->cell), true};
}

/* The part of a cell that lies in the region, as a polygon. @return its number of corners */
static int clip_cell(const region *r, int ix, int iy, const double f[4], corner out[MAX_CORNERS])
{
    int n = 0;

    for (int k = 0; k < 4; k++) {
        if (f[k] > 0.0)
            out[n++] = (corner){r->x0 + (ix + CORNER_X[k]) * r->cell,
                                r->y0 + (iy + CORNER_Y[k]) * r->cell, false};
        if ((f[k] > 0.0) != (f[(k + 1) % 4] > 0.0))
            out[n++] = crossing(r, ix, iy, f, k);
    }
    return n;
}

static void write_polygon(const region *r, const corner *at, int n)
{
    (void)fprintf(r->to, "M%d %d", at[0].x, at[0].y);
    for (int k = 1; k < n; k++)
        (void)fprintf(r->to, "l%d %d", at[k].x - at[k - 1].x, at[k].y - at[k - 1].y);
    (void)fprintf(r->to, "z");
}

/* Cells first .. end - 1 of a row, all inside. */
static void write_run(const region *r, int first, int end, int iy)
{
    int width = (end - first) * r->cell;

    if (width > 0)
        (void)fprintf(r->to, "M%d %dh%dv%dh%dz", r->x0 + first * r->cell, r->y0 + iy * r->cell,
                      width, r->cell, -width);
}

bool nm_region_write_area(const nm_grid *grid, int64_t c, int x0, int y0, int cell, FILE *to)
{
    const region r = {grid, c, x0, y0, cell, to};
    bool occurs = false;

    for (int iy = 0; iy < grid->n_y; iy++) {
        int run = 0; /* first cell not written yet; all cells from there on are inside */

        for (int ix = 0; ix < grid->n_x; ix++) {
            corner at[MAX_CORNERS];
            double f[4];

            find_leads(&r, ix, iy, f);
            if (all_inside(f)) {
                occurs = true;
                continue;
            }
            write_run(&r, run, ix, iy);
            run = ix + 1;

            int n = clip_cell(&r, ix, iy, f, at);

            if (n > 0)
                write_polygon(&r, at, n);
            occurs = occurs || n > 0;
        }
        write_run(&r, run, grid->n_x, iy);
    }
    return occurs;
}

bool nm_region_write_border(const nm_grid *grid, int64_t c, int x0, int y0, int cell, FILE *to)
{
    const region r = {grid, c, x0, y0, cell, to};
    bool occurs = false;

    for (int iy = 0; iy < grid->n_y; iy++)
        for (int ix = 0; ix < grid->n_x; ix++) {
            corner at[MAX_CORNERS];
            double f[4];

            find_leads(&r, ix, iy, f);

            int n = clip_cell(&r, ix, iy, f, at);

            /* Walking clockwise, the region is left at one crossing and entered at the next. */
            for (int k = 0; k < n; k++) {
                const corner *from = &at[k], *next = &at[(k + 1) % n];

                if (!from->on_border || !next->on_border)
                    continue;
                (void)fprintf(to, "M%d %dl%d %d", from->x, from->y, next->x - from->x,
                              next->y - from->y);
                occurs = true;
            }
        }
    return occurs;
}
