/* State of sifting, and what it knows about all columns (sift_columns.c); sift.c drives. */
#ifndef NM_SOLVE_SIFT_H
#define NM_SOLVE_SIFT_H

#include "solve/subset.h"

/** Multipliers with what they pull, scaled into the dual ball. */
typedef struct nm_pulled {
    double *y, *x; /* [m], [n_terms] */
    double *c;     /* [n] */
    double value;  /* the bound they prove without regard to lo and hi */
} nm_pulled;

typedef struct nm_sift {
    const nm_ctx *ctx;
    const nm_master_spec *spec;
    const nm_rows *rows;
    double slope; /* w */
    nm_master_spec shortest;
    void *shortest_state;  /* first multipliers, and proofs when rows contradict each other */
    void *full;            /* the interior point method on all columns, once it was needed */
    bool given_up;         /* it does the rest */
    nm_pulled now, next;   /* present multipliers; those of the last small program */
    int64_t m;             /* rows that `now` knows */
    double *d, *work;      /* [n] */
    float *size;           /* [n] see measure_columns() */
    nm_groups squares;     /* rows with factors and inputs squared */
    unsigned char *chosen; /* [n] */
    nm_subset part;
    double *on_t;                             /* [m + n_terms] */
    double *scale, *weight, *start, *small_d; /* [part.n] */
    double t;                                 /* of the last small program */
    double width;   /* of the region around kinks from which most columns are drawn */
    int64_t sample; /* columns wanted */
    uint64_t draws; /* samples so far */
    int64_t iterations;
} nm_sift;

/** Which side of the kinks: 1, 0, -1 for c > w, |c| < w, c < -w. */
int nm_sift_class(const nm_sift *s, double c);

/** The bound that multipliers prove without regard to lo and hi. */
double nm_sift_value(const nm_sift *s, const nm_pulled *p);

/** c of y and x, and all three scaled to the border of the dual ball. */
void nm_sift_pull(nm_sift *s, nm_pulled *p);

/** s->squares, of the rows so far. NM_E_NOMEM. */
nm_status nm_sift_square_rows(nm_sift *s, nm_err *err);

/** s->size: how far each c_j moves when multipliers change by their own size. */
void nm_sift_measure_columns(nm_sift *s);

/** The number below which a share of what `measure` says of the columns lies, from evenly spread
 *  columns. NM_E_NOMEM. */
nm_status nm_sift_quantile(nm_sift *s, double share, double (*measure)(const nm_sift *, int64_t),
                           double *out, nm_err *err);

/** Measures of column j, in units of its size: |c_j|, its move to the last small program, its
 *  distance from the nearest kink. */
double nm_sift_size_of_pull(const nm_sift *s, int64_t j);
double nm_sift_size_of_move(const nm_sift *s, int64_t j);
double nm_sift_distance(const nm_sift *s, int64_t j);

/** Moves `now` towards `next` as far as the bound gains. @return the step, 0 = none gains */
double nm_sift_search_line(nm_sift *s);

#endif
