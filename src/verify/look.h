/* One box of inputs at a time (search_input.c): bounded, its cases closed, cut, points tried. */
#ifndef NM_VERIFY_LOOK_H
#define NM_VERIFY_LOOK_H

#include "verify/combine.h"
#include "verify/descend.h"

typedef struct nm_box {
    double least;        /* bounds by which cases were closed */
    double worst;        /* how far the furthest case is from closed; small = first */
    double volume;       /* share of the whole */
    int64_t split;       /* place in the tree, -1 = not kept */
    uint64_t *open;      /* cases that are not closed */
    double *lo, *hi;     /* [n_in] */
    double *z_lo, *z_hi; /* [n_neurons] what is known of neurons */
} nm_box;

/** A box with nothing in it; NULL when memory ran out. Free with nm_free(). */
nm_box *nm_box_new(const nm_region *r);

/** Takes over everything but the place in the tree. */
void nm_box_copy(const nm_region *r, const nm_box *from, nm_box *to);

/** One thread's room, and what was found of the last box. */
typedef struct nm_looker {
    const nm_region *region;
    const nm_search_opts *opts;
    nm_bounder bounder;
    nm_arena arena;
    double *slope, *constant, *bound; /* lines of all rows of open cases */
    int *lane;                        /* [n_rows] of each row in the last call of nm_bound_rows() */
    int n_calls;
    double *line_slope; /* lines of one case: of its rows, then refined ones */
    double line_constant[NM_COMBINE_MOST], line_bound[NM_COMBINE_MOST];
    int n_lines, line_row[NM_COMBINE_MOST];
    bool refined; /* the last rows carried were refined ones */
    double *touch_slope;
    double *points; /* [rounds x n_in] of refined lines */
    int n_points;
    double *y, *joint, joint_constant; /* the best combination of lines */
    double *x;                         /* where all lines leave most room */
    double *to_lo, *to_hi, *hull_lo, *hull_hi;
    double *values; /* [n_neurons] at the last point tried */
    float *point;
    double *steer; /* [n_in] what splitting each input would gain */
    int worst_case;
    double *worst_x;
    nm_descent descent;
    double *numbers; /* of the box, for the proof (region_proof.h) */
    int64_t n_numbers, room_numbers;
    bool lost_numbers; /* memory ran out */
    int64_t n_nodes;
} nm_looker;

bool nm_looker_open(nm_looker *w, const nm_region *region, const nm_search_opts *opts);
void nm_looker_close(nm_looker *w);

typedef enum nm_look {
    NM_LOOK_CLOSED,
    NM_LOOK_FOUND, /* an unsafe point */
    NM_LOOK_AGAIN, /* much of the box was cut off: it is worth bounding once more */
    NM_LOOK_SPLIT
} nm_look;

/** Bounds a box, closes cases, cuts it to where unsafe points may be. */
nm_look nm_look_at(nm_looker *w, nm_box *b);

/** Goes down from where the lines of the worst case leave most room, now and then. True if an
 * unsafe point was found. */
bool nm_look_down(nm_looker *w, const nm_box *b);

/** The input along which to halve the box; -1 if there is none: it is a point. */
int64_t nm_look_dim(const nm_looker *w, const nm_box *b);

#endif
