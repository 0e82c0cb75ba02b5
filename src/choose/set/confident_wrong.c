/* ConfidentWrong: sure, and wrong. */
#include "choose/set/set.h"

enum { THRESHOLD };
static const nm_heuristic_param params[] = {
    {.name = "threshold",
     .initial = 0.8,
     .min = 0,
     .max = 1,
     .below_max = true,
     .help = "probability of the (wrong) predicted class must be at least"}};

static bool keep(const nm_facts *f, const nm_values *v)
{
    return f->predicted != f->label && f->top >= v->v[THRESHOLD];
}

static double key(const nm_facts *f, const nm_values *v)
{
    (void)v;
    return f->top;
}

const nm_set_kind nm_set_confident_wrong = {
    .info = {.name = "ConfidentWrong",
             .summary = "wrong points of which the network is sure, the surest first",
             .scope = "labels and scores; score: largest probability; ties in file order",
             .source = "Adsule et al. 2025, SqueezeNet experiments",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .keep = keep,
    .key = key,
    .order = NM_SET_DESCENDING,
    .reads_scores = true,
};
