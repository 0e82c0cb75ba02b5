/* The parts that regions are cut into, each meant to lie in one linear region of the network. */
#ifndef NM_REPAIR_REGION_PARTS_H
#define NM_REPAIR_REGION_PARTS_H

#include "netmend/regions.h"

typedef struct nm_region_part {
    int64_t region;
    int64_t n;       /* vertices */
    double *vertex;  /* [n x n_in] */
    double *lo, *hi; /* [n_in] of a box; NULL otherwise */
    int64_t *shared; /* [n] number of each vertex among all vertices, equal ones having one */
    int64_t group;   /* parts of a group have their pieces from one reference: the smallest of their
                        indices */
    int32_t *choice; /* [cases of the region] row that its vertices are to break */
    int32_t *tried;  /* [cases] other rows that did not do */
    double margin;   /* asked of each row, times the norm of the row */
    bool violated;   /* at some input, found by the verifier */
    nm_region_proof_kind proof;
    double least; /* see nm_region_result */
    double lost;  /* what was taken off there for bends and for roundings, at the row that decides
                   */
    double bends; /* the first of the two */
} nm_region_part;

typedef struct nm_region_parts {
    nm_region_part *at;
    int64_t n, room, n_in;
    int64_t n_vertices; /* of all parts, equal ones once */
} nm_region_parts;

/** One part for each region. Free with nm_region_parts_free(), also after a failure. */
nm_status nm_region_parts_new(const nm_regions *regions, nm_region_parts *out, nm_err *err);
void nm_region_parts_free(nm_region_parts *parts);

/** Cuts part p in two, which together cover it: a box across its widest input (ends are held
 * against `width` [n_in], NULL: as they are), another hull at the middle of its longest edge. The
 * second half becomes the last part. Choices are not carried over.
 *  @return false through *cut for a part of one vertex, or where numbers have no middle */
nm_status nm_region_parts_cut(nm_region_parts *parts, int64_t p, const double *width, bool *cut,
                              nm_err *err);

/** Numbers all vertices, equal ones alike. */
nm_status nm_region_parts_share(nm_region_parts *parts, nm_err *err);

/** Joins the groups of two parts. @return false if they were one already */
bool nm_region_parts_join(nm_region_parts *parts, int64_t a, int64_t b);

/** Mean of the vertices of a part's group [n_in]. */
void nm_region_parts_centre(const nm_region_parts *parts, int64_t group, double *centre);

#endif
