/* Misclassified: what the network gets wrong. */
#include "choose/set/set.h"

enum { ORDER };
enum { ORDER_FILE, ORDER_CLOSEST, ORDER_WORST };
static const char *const orders[] = {"file", "closest", "worst", NULL};
static const nm_heuristic_param params[] = {
    {.name = "order",
     .kind = NM_PARAM_WORD,
     .words = orders,
     .help = "as in the file, smallest loss first (closest), or largest first (worst)"}};

static bool keep(const nm_facts *f)
{
    return f->predicted != f->label;
}

static nm_status run(const nm_set_job *job, nm_selection *out, nm_err *err)
{
    int how = (int)job->values->v[ORDER];

    for (int64_t p = 0; p < job->pool->n; p++)
        if (keep(&job->facts[p]))
            nm_selection_add(out, p, job->facts[p].loss);
    return nm_selection_sort(out,
                             how == ORDER_FILE      ? NM_SET_AS_FOUND
                             : how == ORDER_CLOSEST ? NM_SET_ASCENDING
                                                    : NM_SET_DESCENDING,
                             err);
}

const nm_set_kind nm_set_misclassified = {
    .info = {.name = "Misclassified",
             .summary = "points whose predicted class is not the label",
             .scope = "labels and scores; score: cross entropy; ties in file order",
             .source = "Adsule et al. 2025",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .run = run,
    .reads_scores = true,
};
