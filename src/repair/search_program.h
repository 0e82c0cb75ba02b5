/* Linearised programs of a search, and the steps made of them. */
#ifndef NM_REPAIR_SEARCH_PROGRAM_H
#define NM_REPAIR_SEARCH_PROGRAM_H

#include "repair/search.h"

/** What solving and checking came to. */
typedef enum nm_answer { NM_ANSWER_ACCEPTED, NM_ANSWER_INFEASIBLE, NM_ANSWER_STUCK } nm_answer;

/** A program at the active tail's linearisation.
 *  @param base  from where the change is measured; NULL: the whole change, from the original
 * network */
nm_status nm_search_open_program(const nm_search *s, const double *base, bool all_pins, void **out,
                                 nm_err *err);

/** Counts its rounds and closes it. */
void nm_search_finish_program(nm_search *s, void *program);

/** Rows of an earlier program, but those of points of which nothing is asked any more, and those of
 *  bounds, which come back by themselves. */
nm_status nm_search_add_known(const nm_search *s, void *program, const nm_row_id *rows, int64_t n,
                              nm_err *err);

/** Its solution becomes the search's change, its figures the search's. */
void nm_search_take_solution(nm_search *s, const void *program);

/** Sums of steps and refined changes are no program's optimum. */
void nm_search_claim_no_optimum(nm_search *s);

/** Programs may ask for more than is needed: points that have `margins` are no misses. */
void nm_search_judge_by(nm_misses *m, const nm_search *s, const double *margins);

/** The margins of the first n active points; keep points that came since have theirs. */
void nm_search_restore_margins(nm_search *s, const double *margins, int64_t n);

/** Solves, checks by true forward evaluation, adds what was broken (keep points; higher margins or
 *  pins where wanted), until accepted or nothing more can be added. The misses are counted against
 *  the margins at the start, which stand again afterwards. */
nm_status nm_search_solve_and_check(nm_search *s, void *program, bool pin, int max_tries,
                                    nm_answer *verdict, nm_err *err);

/** Accumulates steps from the search's change on until no point misses (search_steps.c); the
 * nearest approach stays in s->closest. */
nm_status nm_search_accumulate(nm_search *s, nm_answer *verdict, nm_err *err);
void nm_search_forget_closest(nm_search *s);

#endif
