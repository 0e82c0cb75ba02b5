/* BoundarySamples: points near a decision boundary, measured in scores. */
#include "choose/set/set.h"

enum { MARGIN };
static const nm_heuristic_param params[] = {
    {.name = "margin",
     .initial = 0.5,
     .min = 0,
     .max = 1e6,
     .above_min = true,
     .help = "largest score minus second largest must be below, output units"}};

static bool keep(const nm_facts *f, const nm_values *v)
{
    return f->gap < v->v[MARGIN];
}

static double key(const nm_facts *f, const nm_values *v)
{
    (void)v;
    return f->gap;
}

const nm_set_kind nm_set_boundary = {
    .info = {.name = "BoundarySamples",
             .summary = "points whose two largest scores are close, the closest first",
             .scope = "scores; score: their difference; ties in file order",
             .source = "Adsule et al. 2025; closest first, not first in the file",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .keep = keep,
    .key = key,
    .order = NM_SET_ASCENDING,
    .reads_scores = true,
};
