/* Proving that no input of a box is unsafe: the problem, and how a search over it ends.
 *
 * A point is unsafe when for one of the *cases* all its rows are <= 0; a case is closed on a part
 * of the box when some combination of its rows with weights >= 0 is > 0 there. Rows are linear
 * functions of the output. */
#ifndef NM_VERIFY_REGION_H
#define NM_VERIFY_REGION_H

#include "verify/bound.h"

struct nm_region_proof;

/** Asked about a float32 point in the box that looks unsafe: true ends the search. Thread safe. */
typedef bool (*nm_try_point)(void *user, const float *x);

/** Looks for such points from x within a part of the box: true ends the search. Thread safe. */
typedef bool (*nm_attack_from)(void *user, const float *x, const double *lo, const double *hi);

typedef struct nm_region {
    const nm_vnet *v;
    const double *lo, *hi; /* [n_in] box, outward of the decimal one */
    const float *point_lo,
        *point_hi; /* [n_in] float32 numbers inside it; lo > hi: there are none */
    int n_rows;
    const nm_vrow *rows;
    int n_cases;
    const int *first; /* [n_cases + 1] rows of each case */
    nm_try_point try_point;
    nm_attack_from attack_from; /* may be NULL */
    void *user;
} nm_region;

/** Whether float32 numbers lie in the box. */
bool nm_region_has_points(const nm_region *r);

/** The float32 number next to x inside the point box. */
float nm_region_inside(const nm_region *r, int64_t j, double x);

/** Is a point unsafe? In double first, which is cheap; then r->try_point decides.
 *  @param values  out, [n_neurons] what nm_vnet_evaluate() gives there */
bool nm_region_is_unsafe(const nm_region *r, const float *x, double *values);

typedef enum nm_region_outcome {
    NM_REGION_SAFE,
    NM_REGION_UNSAFE,
    NM_REGION_OPEN
} nm_region_outcome;

/** How an input search went on: a tree of boxes, from the claim's point of view. */
typedef struct nm_box_split {
    enum {
        NM_SPLIT_NONE,  /* closed, or left open */
        NM_SPLIT_AGAIN, /* one child: the same box, cut */
        NM_SPLIT_INPUT  /* x[dim] <= at in the first child, >= at in the second */
    } kind;
    int32_t dim;
    double at;
    int64_t child;   /* the second one follows it; -1 = none */
    double *numbers; /* [n_numbers] lines by which its cases were closed or cut (region_proof.h) */
    int64_t n_numbers;
} nm_box_split;

typedef struct nm_region_report {
    nm_region_outcome outcome;
    int64_t n_nodes, n_open;
    double worst_bound;   /* over the parts left open; of a safe region, over those closed */
    double share_proved;  /* of the volume */
    nm_box_split *splits; /* [n_splits] the root is 0; NULL unless asked for */
    int64_t n_splits;
    struct nm_region_proof *proof; /* of a search by neurons, likewise */
} nm_region_report;

/** The tree of a safe region as a proof. NULL when memory ran out. */
struct nm_region_proof *nm_region_proof_from(const nm_region_report *report);

typedef struct nm_search_opts {
    int64_t max_nodes;
    bool keep_tree;
    double linear; /* what the width of the linear part counts, against what relaxation costs */
    int rounds;    /* of lines with better slopes, at most */
} nm_search_opts;

#define NM_SEARCH_OPTS_INIT                                                                        \
    {                                                                                              \
        .max_nodes = INT64_MAX, .linear = 1, .rounds = 4                                           \
    }

/** Splits the box along its inputs until every part is closed. For few inputs.
 *  @return NM_OK with the outcome (also when it is open, at a limit); NM_E_CANCELLED with what is
 *          known in the report; NM_E_NOMEM */
nm_status nm_search_inputs(nm_ctx *ctx, const nm_region *region, const nm_search_opts *opts,
                           nm_region_report *report, nm_err *err);

/** Splits neurons: for many inputs. As nm_search_inputs(); no tree is kept. */
nm_status nm_search_neurons(nm_ctx *ctx, const nm_region *region, const nm_search_opts *opts,
                            nm_region_report *report, nm_err *err);

void nm_region_report_free(nm_region_report *report);

#endif
