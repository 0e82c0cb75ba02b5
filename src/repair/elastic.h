/* Elastic repair: where not all points can be repaired, as many as possible.
 *
 * Every search that finds a proof of infeasibility gives an irreducible conflict: points of which
 * at least one has to be left out. So what has to be left out meets all conflicts, and the smallest
 * set that meets those known so far (solve/hitting.h) is either enough, and then no other is
 * smaller, or the rest holds another conflict (the implicit hitting set method: Reiter, "A theory of
 * diagnosis from first principles", Artificial Intelligence 32, 1987; Parker & Ryan, "Finding the
 * minimum weight IIS cover of an infeasible system of linear inequalities", Annals of Mathematics
 * and AI 17, 1996). When that takes too long, points in most conflicts leave first and come back one
 * by one where they fit.
 *
 * Where the program is not exact nothing but twins is proven: points that the steps do not reach
 * leave, and are tried again from the network that was found for the others. */
#ifndef NM_REPAIR_ELASTIC_H
#define NM_REPAIR_ELASTIC_H

#include "repair/twins.h"

typedef struct nm_elastic {
    nm_search *search; /* lent */
    const nm_repair_opts *opts;
    nm_repair_opts loose; /* of tests whether there is a solution at all */
    nm_twins twins;
    int64_t n;
    double *margin; /* [n] asked of each point, left out or not */
    bool *out;      /* [n] left out of the present search */
    bool *stuck;    /* [n] left out without a proof */
    nm_conflict_report *conflicts;
    nm_certificate *certificates; /* of each conflict; empty for twins and unless asked for */
    int64_t n_conflicts, room;
    double *best; /* [params->n] the change that was found for the most points */
    int64_t n_best;
    bool retried;
    int max_tests; /* searches for the proven optimum before points leave greedily */
    int rounds, linearisations;
} nm_elastic;

/** @param x  [n_repair x n_in] the inputs of the search; search and opts are lent */
nm_status nm_elastic_open(nm_search *search, const nm_repair_opts *opts, const float *x,
                          nm_elastic **out, nm_err *err);
void nm_elastic_close(nm_elastic *elastic);

/** Searches with the present margins of the search's demand; of points that are left out nothing
 *  is asked afterwards (their margin is -INFINITY). FOUND: for the others. INFEASIBLE: every point
 *  by itself is proven impossible. */
nm_status nm_elastic_run(nm_elastic *elastic, nm_search_outcome *outcome, nm_err *err);

/** Moves the conflicts into the report, with the bound that they prove, and lists the points that
 *  do not pass, with the reason.
 *  @param passes  [n]
 *  @param right   [n] */
nm_status nm_elastic_report(nm_elastic *elastic, const bool *passes, const bool *right,
                            nm_repair_report *report, nm_err *err);

#endif
