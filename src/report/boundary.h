/* What the picture of decision regions shows (boundary_svg.c), and how it is drawn
 * (boundary_draw.c). Lengths are whole tenths of a pixel, so that no number is written with a
 * locale's decimal sign. */
#ifndef NM_REPORT_BOUNDARY_H
#define NM_REPORT_BOUNDARY_H

#include <stdio.h>

#include "netmend/report.h"

enum {
    NM_BOUNDARY_CELL = 20,    /* of the grid the regions are drawn from */
    NM_BOUNDARY_WIDTH = 4800, /* of one plot */
    NM_BOUNDARY_MAX_CLASSES = 10
};

/* The window onto input space that both panels show. */
typedef struct nm_boundary_view {
    double x_lo, x_hi, y_lo, y_hi;
    int height; /* of the plot, a multiple of NM_BOUNDARY_CELL */
} nm_boundary_view;

typedef struct nm_boundary_panel {
    const char *title;
    const nm_net *net;
    float *scores;           /* at the corners of the grid */
    int64_t *classes;        /* predicted for the points ... */
    int64_t *repair_classes; /* ... and for the repair set; NULL without */
    int64_t n_right, n_repaired;
} nm_boundary_panel;

typedef struct nm_boundary_scene {
    nm_ctx *ctx;
    const nm_points *points, *repair_set;
    int64_t n_classes;
    nm_boundary_view view;
    nm_boundary_panel panels[2];
    FILE *to;
} nm_boundary_scene;

/** What nm_boundary_svg() does, to a stream. */
nm_status nm_boundary_write(nm_ctx *ctx, const nm_net *before, const nm_net *after,
                            const nm_points *points, const nm_points *repair_set, FILE *to,
                            nm_err *err);

/** Writes the whole document to scene->to; everything else of the scene is filled. Errors of the
 *  stream show when the file is committed. */
void nm_boundary_draw(const nm_boundary_scene *scene);

#endif
