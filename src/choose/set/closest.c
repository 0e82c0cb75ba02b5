/* Closest: wrong by little. */
#include "choose/set/set.h"

enum { P_TRUE, GAP };
static const nm_heuristic_param params[] = {
    {.name = "p_true",
     .initial = 0.1,
     .min = 0,
     .max = 1,
     .help = "probability of the label must be at least"},
    {.name = "gap",
     .initial = 0.3,
     .min = 0,
     .max = 1,
     .help = "probability of the predicted class may be above it by at most"}};

static double key(const nm_facts *f, const nm_values *v)
{
    (void)v;
    return f->top - f->p_true;
}

static bool keep(const nm_facts *f, const nm_values *v)
{
    return f->predicted != f->label && f->p_true >= v->v[P_TRUE] && key(f, v) <= v->v[GAP];
}

const nm_set_kind nm_set_closest = {
    .info = {.name = "Closest",
             .summary = "wrong points that are nearly right, the nearest first",
             .scope = "labels and scores; score: probability missing; ties in file order",
             .source = "Adsule et al. 2025, SqueezeNet experiments",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .keep = keep,
    .key = key,
    .order = NM_SET_ASCENDING,
    .reads_scores = true,
};
