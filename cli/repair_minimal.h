/* `netmend repair --method minimal` over several layers: the smallest of their smallest changes. */
#ifndef NM_CLI_REPAIR_MINIMAL_H
#define NM_CLI_REPAIR_MINIMAL_H

#include "repair_args.h"

typedef struct nm_contest_row {
    int layer;
    const char *outcome;      /* static; "refused" where the method does not do */
    double norm, lower_bound; /* NAN unless repaired */
} nm_contest_row;

/** Start from {0}; free with nm_contest_free(). */
typedef struct nm_contest {
    int n;
    nm_contest_row *rows;
    int best; /* index into rows; -1: none */
} nm_contest;

/** Where the method is minimal and the plan has several layers: repairs in each alone, without
 *  writing, and replaces the plan by that of the best (of the last, where none succeeds). Else does
 *  nothing. */
nm_status nm_contest_run(nm_cli *cli, const nm_repair_args *args, const nm_net *net,
                         const nm_repair_task *task, const nm_repair_opts *opts, nm_plan **plan,
                         nm_contest *contest, nm_err *err);
void nm_contest_print(FILE *out, const nm_contest *contest);
void nm_contest_put(nm_cli *cli, const nm_contest *contest);
void nm_contest_free(nm_contest *contest);

#endif
