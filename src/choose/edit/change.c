/* ChangeBased: where an input that is disturbed a little is told apart most.
 *
 * D_l = mean |a_l(x) - a_l(x')| / mean |a_l(x)| over pairs of repair points and their disturbed
 * copies (Euclidean norms); with score=gain D_l / D_(l-1): where the error grows, rather than where
 * it has gathered. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "choose/edit/edit.h"

enum { KIND, EPSILON, STEPS, SCORE, POINTS };
enum { KIND_ADVERSARIAL, KIND_NOISE };
enum { SCORE_CHANGE, SCORE_GAIN };
static const char *const kind_words[] = {"adversarial", "noise", NULL};
static const char *const score_words[] = {"change", "gain", NULL};
static const nm_heuristic_param params[] = {
    {.name = "kind",
     .kind = NM_PARAM_WORD,
     .words = kind_words,
     .help = "PGD on the loss, or uniform noise (--seed)"},
    NM_EDIT_PARAM_EPSILON,
    NM_EDIT_PARAM_STEPS,
    {.name = "score",
     .kind = NM_PARAM_WORD,
     .words = score_words,
     .help = "relative change behind the layer, or how much it grew from the layer before"},
    NM_EDIT_PARAM_POINTS(64)};

static void add_noise(const nm_edit_job *job, const nm_sample *points, float *x)
{
    nm_rng rng = {.seed = job->opts->seed, .stream = 0xed3};
    int64_t size = points->n * nm_net_n_in(job->net);

    for (int64_t i = 0; i < size; i++)
        x[i] = (float)((double)points->x[i] +
                       job->values->v[EPSILON] * (2 * nm_rng_uniform(&rng) - 1));
}

static double relative_change(const float *a, const float *b, int64_t n, int64_t size)
{
    double changed = 0, whole = 0;

    for (int64_t i = 0; i < n; i++) {
        double d = 0, w = 0;

        for (int64_t j = i * size; j < (i + 1) * size; j++) {
            d += ((double)a[j] - (double)b[j]) * ((double)a[j] - (double)b[j]);
            w += (double)a[j] * (double)a[j];
        }
        changed += sqrt(d);
        whole += sqrt(w);
    }
    return whole > 0 ? changed / whole : 0;
}

static nm_status disturb(const nm_edit_job *job, const nm_sample *points, float *x, nm_err *err)
{
    if ((int)job->values->v[KIND] == KIND_ADVERSARIAL)
        return nm_edit_attack(job, points, job->values->v[EPSILON], (int)job->values->v[STEPS], x,
                              err);
    add_noise(job, points, x);
    return NM_OK;
}

static nm_status run(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    bool gain = (int)job->values->v[SCORE] == SCORE_GAIN;
    nm_sample repair = {0};
    nm_outputs clean = {0}, disturbed = {0};
    float *x = NULL;
    double before;
    nm_status rc = NM_OK;

    NM_TRY(nm_edit_repair_sample(job, (int64_t)job->values->v[POINTS], &repair, err));
    NM_TRY(nm_alloc(&x, (size_t)(repair.n * nm_net_n_in(job->net)), sizeof *x, err));
    NM_TRY(disturb(job, &repair, x, err));
    NM_TRY(nm_outputs_of(job, repair.x, repair.n, &clean, err));
    NM_TRY(nm_outputs_of(job, x, repair.n, &disturbed, err));
    before = relative_change(repair.x, x, repair.n, nm_net_n_in(job->net));
    for (int i = 0; i < job->net->n_layers; i++) {
        double change =
            relative_change(clean.at[i], disturbed.at[i], repair.n, nm_outputs_size(job, i));

        out->scores[i] = !gain ? change : before > 0 ? change / before : 0;
        before = change;
    }
done:
    nm_sample_clear(&repair);
    nm_outputs_clear(&clean);
    nm_outputs_clear(&disturbed);
    nm_free(x);
    return rc;
}

const nm_edit_kind nm_edit_change = {
    .info = {.name = "ChangeBased",
             .summary = "the layer whose output changes most from clean to disturbed points",
             .scope = "repair points, seed; ties: the later layer",
             .source = "Adsule et al. 2025 (irdnn.md 6.5)",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .run = run,
};
