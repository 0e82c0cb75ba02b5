/* Several machines: the processes that mpirun started share the pieces of work. Without MPI (build
 * or launcher) there is one rank, and none of this does anything. */
#ifndef NM_CLI_RANKS_H
#define NM_CLI_RANKS_H

#include "workers.h"

/** Joins the other processes if a launcher started this one as one of several. To be called first
 *  by a verb that shares work. Ranks above 0 say nothing on standard output and error from then on;
 *  whatever they fail with, rank 0 is told, also when they end. */
nm_status nm_ranks_open(nm_err *err);

/** How many there are; 1: alone. */
int nm_ranks_n(void);

/** Loads what the pieces need, once a rank that works. */
typedef nm_status (*nm_ranks_load_fn)(void *user, nm_err *err);

/** As nm_workers_run(). Rank 0 hands the pieces out, one at a time to each of the others, and takes
 *  the answers; those do each piece in a process of their own and never return from here. A piece
 *  whose process dies is given to another rank (or again to the same, if there is no other) once
 *  more, and so is the piece of a rank that ends. When no rank is left, that is NM_E_IO. */
nm_status nm_ranks_run(nm_cli *cli, const nm_workers *workers, nm_ranks_load_fn load,
                       const int64_t *todo, int64_t n, nm_err *err);

#endif
