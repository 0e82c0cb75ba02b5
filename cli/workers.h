/* Numbered pieces of work, done by processes: each takes the next one when it is free, and a piece
 * whose process dies is given to another one once more. */
#ifndef NM_CLI_WORKERS_H
#define NM_CLI_WORKERS_H

#include "cli.h"

/** Does piece `i` in a worker and leaves its answer in text[n_text]. */
typedef nm_status (*nm_work_fn)(void *user, int64_t i, char *text, size_t n_text, nm_err *err);

/** Takes the answer in the parent; text = NULL: no process survived the piece. */
typedef nm_status (*nm_answer_fn)(void *user, int64_t i, const char *text, nm_err *err);

typedef struct nm_workers {
    int n;              /**< processes, >= 1 */
    size_t answer_text; /**< room of an answer */
    nm_work_fn work;
    nm_answer_fn answer;
    void *user;
    int tries; /**< processes that may die of one piece; 0 = 2 */
} nm_workers;

/** Runs pieces todo[0 .. n-1]; answers come in any order.
 *  To be called before the process has threads of its own.
 *  @return the first failure of a worker or of answer(); NM_E_CANCELLED after an interrupt */
nm_status nm_workers_run(nm_cli *cli, const nm_workers *workers, const int64_t *todo, int64_t n,
                         nm_err *err);

#endif
