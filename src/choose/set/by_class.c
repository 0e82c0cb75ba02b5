/* ByClass: one class, right or wrong. */
#include "choose/set/set.h"

enum { CLASS, BY };
enum { BY_LABEL, BY_PREDICTED };
static const char *const by_words[] = {"label", "predicted", NULL};
static const nm_heuristic_param params[] = {
    {.name = "class", .kind = NM_PARAM_INT, .min = 0, .max = 1e9, .help = "the class"},
    {.name = "by",
     .kind = NM_PARAM_WORD,
     .words = by_words,
     .help = "points that have this label, or that the network gives this class"}};

static bool keep(const nm_facts *f, const nm_values *v)
{
    int64_t of = (int)v->v[BY] == BY_LABEL ? f->label : f->predicted;

    return of == (int64_t)v->v[CLASS];
}

const nm_set_kind nm_set_by_class = {
    .info = {.name = "ByClass",
             .summary = "points of one class, in file order",
             .scope = "labels (scores with by=predicted); score: place in the file",
             .source = "Adsule et al. 2025",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .keep = keep,
    .reads_scores = true,
};
