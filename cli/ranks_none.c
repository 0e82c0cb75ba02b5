/* Without MPI there is one rank. */
#include "ranks.h"

nm_status nm_ranks_open(nm_err *err)
{
    (void)err;
    return NM_OK;
}

int nm_ranks_n(void)
{
    return 1;
}

nm_status nm_ranks_run(nm_cli *cli, const nm_workers *workers, nm_ranks_load_fn load,
                       const int64_t *todo, int64_t n, nm_err *err)
{
    (void)load;
    return nm_workers_run(cli, workers, todo, n, err);
}
