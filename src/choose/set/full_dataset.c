/* FullDataset: the whole pool, thinned evenly where fewer points are asked for. */
#include "choose/set/set.h"

static nm_status run(const nm_set_job *job, nm_selection *out, nm_err *err)
{
    int64_t all = job->pool->n, n = job->size < all ? job->size : all;

    (void)err;
    for (int64_t i = 0; i < n; i++) {
        int64_t at = i * all / n;

        nm_selection_add(out, at, (double)at);
    }
    return NM_OK;
}

const nm_set_kind nm_set_full_dataset = {
    .info = {.name = "FullDataset",
             .summary = "the whole data set; with a size, points evenly spaced over it",
             .scope = "labels; score: place in the file",
             .source = "Adsule et al. 2025"},
    .run = run,
};
