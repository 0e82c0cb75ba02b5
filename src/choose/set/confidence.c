/* ConfidenceBased: points that the network is not sure of. */
#include "choose/set/set.h"

enum { THRESHOLD };
static const nm_heuristic_param params[] = {{.name = "threshold",
                                             .initial = 0.7,
                                             .min = 0,
                                             .max = 1,
                                             .above_min = true,
                                             .help = "largest probability must be below"}};

static bool keep(const nm_facts *f, const nm_values *v)
{
    return f->top < v->v[THRESHOLD];
}

static double key(const nm_facts *f, const nm_values *v)
{
    (void)v;
    return f->top;
}

const nm_set_kind nm_set_confidence = {
    .info = {.name = "ConfidenceBased",
             .summary = "points whose largest class probability is low, the lowest first",
             .scope = "scores; score: largest softmax probability; ties in file order",
             .source = "Adsule et al. 2025; lowest first, not first in the file",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .keep = keep,
    .key = key,
    .order = NM_SET_ASCENDING,
    .reads_scores = true,
};
