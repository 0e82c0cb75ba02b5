/* The inside of nm_parts_run(): a thread's parts, one in each lane of its batch. */
#ifndef NM_VERIFY_PARTS_LANE_H
#define NM_VERIFY_PARTS_LANE_H

#include "verify/parts.h"

typedef struct nm_part_worker {
    nm_parts *s;
    nm_batch batch, probe;
    nm_part *lane[NM_MOST_LANES];
    int step[NM_MOST_LANES];
    double best[NM_MOST_LANES];
    double *values;
    float *point;
    nm_arena arena;
    int64_t n_nodes;
} nm_part_worker;

/** Loads the part of a lane into the batch. */
void nm_lane_load(nm_part_worker *w, int lane);

/** Weights of the rows of a lane's case follow their values (multiplicative weights). */
void nm_lane_weigh_rows(nm_part_worker *w, int lane);

/** Notes a lane's part as a leaf of the proof: what its bound came from. False when memory ran out.
 */
bool nm_lane_note_leaf(nm_part_worker *w, int lane);

/** A lane is done with its part: closed, split, or stuck (which leaves it open for good). */
void nm_lane_put_down(nm_part_worker *w, int lane, bool closed, bool stuck);

#endif
