/* Class regions of a two-input classifier as vector outlines, from its scores on a grid. */
#ifndef NM_REPORT_REGION_H
#define NM_REPORT_REGION_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/** Scores at the (n_x + 1) x (n_y + 1) corners of n_x x n_y cells, row by row from the top. */
typedef struct nm_grid {
    int n_x, n_y;
    int64_t n_classes;
    const float *scores; /* [corners x n_classes] */
} nm_grid;

/** Writes SVG path data of the region of class c: where its score is the largest, borders
 *  interpolated between corners (marching squares). Coordinates are whole numbers: `cell` units a
 *  cell, from (x0, y0). Writes nothing where the class does not occur.
 *  @return whether it occurs */
bool nm_region_write_area(const nm_grid *grid, int64_t c, int x0, int y0, int cell, FILE *to);

/** The same for the border of the region inside the grid, as open segments. */
bool nm_region_write_border(const nm_grid *grid, int64_t c, int x0, int y0, int cell, FILE *to);

#endif
