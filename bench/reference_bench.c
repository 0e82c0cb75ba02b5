/* Methods that change several layers beside the multi-layer reference, as a page:
 *
 *     reference_bench [PAGE.html [NETS]]
 *
 * Tiny generated networks (2 to 4 hidden layers of 2 to 4 ReLU neurons) with one and three points
 * that must change class; norm of the change over that of the reference: sequential linear programs
 * over all layers from several starts, and the smallest change of every single layer. */
#include <jansson.h>

#include "support.h"

#include "netmend/report.h"
#include "repair/multilayer.h"
#include "unit/repair/tiny_reference.h"

enum { N_METHODS = 2, MOST_NETS = 512 };

static const char *const method_names[N_METHODS] = {"layerwise", "multilayer"};

static double repair(nm_ctx *ctx, const tiny *t, int method, nm_norm norm, uint64_t seed)
{
    nm_multilayer_opts opts = {.common = {.norm = norm}, .seed = seed};
    nm_layerwise_report report;
    nm_changes changes;
    nm_plan *plan = tn_plan(t, -1);
    nm_err err = {0};

    nm_multilayer_effort(t->net, t->n, &opts);
    if (method == 0)
        bench_check(nm_layerwise(ctx, t->net, plan, t->x, t->n, t->goals.goal, &opts.common,
                                 &changes, &report, &err),
                    &err);
    else
        bench_check(nm_multilayer(ctx, t->net, plan, t->x, t->n, t->goals.goal, &opts, &changes,
                                  &report, &err),
                    &err);
    nm_changes_clear(&changes);
    nm_plan_free(plan);
    return report.norm;
}

static json_t *as_json(const tn_distribution *d, const char *method, nm_norm norm, int64_t n_points)
{
    json_t *values = json_array();

    for (int i = 0; i < d->n; i++)
        json_array_append_new(values, json_real(d->ratio[i]));
    return json_pack("{s:o, s:i, s:i, s:f, s:o}", "name",
                     json_sprintf("%s, %s, %d point%s", method, nm_norm_name(norm), (int)n_points,
                                  n_points > 1 ? "s" : ""),
                     "n_all", d->n_repairable, "n_found", d->n_repaired, "mark", 1.5, "values",
                     values);
}

/* All methods on the same nets, beside one reference. */
static void compare(nm_ctx *ctx, nm_norm norm, int64_t n_points, int n_nets, json_t *list)
{
    static tn_distribution d[N_METHODS];

    for (int m = 0; m < N_METHODS; m++)
        d[m] = (tn_distribution){.n_nets = n_nets};
    for (uint64_t seed = 0; seed < (uint64_t)n_nets; seed++) {
        tiny t;

        tn_open(&t, ctx, seed, n_points);
        double reference = tn_reference(ctx, &t, norm, seed), found[N_METHODS];
        bool any = isfinite(reference);

        for (int m = 0; m < N_METHODS; m++) {
            found[m] = repair(ctx, &t, m, norm, seed);
            any = any || isfinite(found[m]);
        }
        for (int m = 0; m < N_METHODS; m++) {
            d[m].n_repairable += any;
            d[m].n_repaired += isfinite(found[m]);
            if (isfinite(found[m]) && isfinite(reference))
                d[m].ratio[d[m].n++] = found[m] / reference;
        }
        tn_close(&t);
    }
    for (int m = 0; m < N_METHODS; m++) {
        qsort(d[m].ratio, (size_t)d[m].n, sizeof *d[m].ratio, tn_ascending);
        printf("%-10s ", method_names[m]);
        (void)fflush(stdout);
        tn_print(&d[m], norm, n_points);
        json_array_append_new(list, as_json(&d[m], method_names[m], norm, n_points));
    }
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "reference.html";
    int n_nets = argc > 2 ? atoi(argv[2]) : 200;
    json_t *list = json_array(), *page;
    nm_ctx *ctx;
    char *text;
    nm_err err = {0};

    if (n_nets < 1 || n_nets > MOST_NETS) {
        (void)fprintf(stderr, "reference_bench: %s nets, expected 1 to %d\n", argv[2], MOST_NETS);
        return 2;
    }
    bench_check(nm_ctx_new(&ctx, &err), &err);
    compare(ctx, NM_NORM_LINF, 1, n_nets, list);
    compare(ctx, NM_NORM_L1, 1, n_nets, list);
    compare(ctx, NM_NORM_L2, 1, n_nets, list);
    compare(ctx, NM_NORM_LINF, TN_POINTS, n_nets, list);
    page = json_pack(
        "{s:s, s:s, s:s, s:o, s:{s:i}}", "title", "Changes of several layers", "about",
        "The reference is the smallest change that linear programs over all layers, one after "
        "the other from several starts, and the smallest change of every single layer (by branch "
        "and bound) find: the best that is known, not an optimum, so that a method may be below "
        "it.",
        "what", "norm of the change / norm of the reference", "distributions", list, "options",
        "nets", n_nets);
    text = json_dumps(page, 0);
    bench_check(nm_report_page(text, path, &err), &err);
    printf("wrote %s\n", path);
    free(text);
    json_decref(page);
    nm_ctx_free(ctx);
    return 0;
}
