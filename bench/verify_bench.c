/* Verification: every instance of the shared sets, its verdict, effort and seconds, beside the best
 * published seconds; and nodes a second against bare matrix products of the same work. See
 * README.md.
 *
 * Options: --time-limit S (per instance, 120), --threads N (all), --no-acasxu, --no-mnistfc,
 * --no-cifar_verif, --attack (off:
 * what is measured is the search, unless it is asked for). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/op.h"
#include "support.h"
#include "tensor/gemm.h"

enum { MOST_INSTANCES = 512, MOST_FIELDS = 16 };

typedef struct instance {
    char network[128], property[160], verdict[16], best[16];
} instance;

static const char *const sets[] = {"acasxu", "mnistfc", "cifar_verif"};

/* network,property,timeout_s,verdict,agreement,n_agree,dissent,best_tool,best_s,... */
static int read_instances(const char *set, instance *out)
{
    char name[300], line[1024];
    FILE *f;
    int n = 0;

    (void)snprintf(name, sizeof name, "%s/instances.csv", set);
    f = fopen(bench_path(name), "r");
    while (f && n < MOST_INSTANCES && fgets(line, sizeof line, f)) {
        char *field[MOST_FIELDS] = {0}, *at = line;
        int k = 0;

        while (at && k < MOST_FIELDS)
            field[k++] = strsep(&at, ",\n");
        if (k < 9 || strcmp(field[0], "network") == 0)
            continue;
        (void)snprintf(out[n].network, sizeof out[n].network, "%s", field[0]);
        (void)snprintf(out[n].property, sizeof out[n].property, "%s", field[1]);
        (void)snprintf(out[n].verdict, sizeof out[n].verdict, "%s", field[3]);
        (void)snprintf(out[n].best, sizeof out[n].best, "%s", field[8]);
        n++;
    }
    if (f)
        (void)fclose(f);
    return n;
}

static const char *word_of(nm_verdict v)
{
    return v == NM_VERDICT_HOLDS ? "unsat" : v == NM_VERDICT_VIOLATED ? "sat" : "unknown";
}

/* Seconds of the products that bound every neuron of a chain of dense layers from below and above
   by rows carried back to the input; 0 for other networks. */
static double bare_seconds(const nm_net *net)
{
    double *a, *b, *c, best = INFINITY;
    int64_t width[64], widest = 0;

    if (net->n_layers > 62)
        return 0;
    width[0] = net->values[net->input].size;
    for (int l = 0; l < net->n_layers; l++) {
        const nm_op *op = &net->ops[net->layers[l].op];

        if (op->kind->fan == NULL ||
            net->layers[l].n_weights != width[l] * net->values[op->out].size)
            return 0;
        width[l + 1] = net->values[op->out].size;
        widest = width[l + 1] > widest ? width[l + 1] : widest;
    }
    widest = width[0] > widest ? width[0] : widest;
    a = bench_alloc(2 * widest * widest, sizeof *a);
    b = bench_alloc(widest * widest, sizeof *b);
    c = bench_alloc(2 * widest * widest, sizeof *c);
    for (int64_t i = 0; i < widest * widest; i++)
        a[i] = a[widest * widest + i] = b[i] = 1e-3 * (double)(i % 7);
    for (int turn = 0; turn < 9; turn++) {
        double start = bench_now();

        for (int l = 1; l < net->n_layers; l++)
            for (int k = l; k > 0; k--)
                nm_gemm_f64(&(nm_gemm){.m = 2 * width[l],
                                       .k = width[k],
                                       .n = width[k - 1],
                                       .lda = width[k],
                                       .ldb = width[k - 1],
                                       .ldc = width[k - 1],
                                       .alpha = 1},
                            a, b, c);
        best = fmin(best, bench_now() - start);
    }
    free(a);
    free(b);
    free(c);
    return best;
}

static double run(nm_ctx *ctx, const char *set, const instance *it, double limit, bool attack,
                  bool *right, bool *wrong)
{
    nm_verify_opts opts = NM_VERIFY_OPTS_INIT;
    nm_verify_report report;
    nm_property *property;
    nm_net *net;
    char name[512];
    nm_err err = {0};
    double start = bench_now(), seconds, bare;

    (void)snprintf(name, sizeof name, "%s/%s", set, it->network);
    net = bench_net(ctx, name);
    (void)snprintf(name, sizeof name, "%s/%s", set, it->property);
    bench_check(nm_property_load(ctx, bench_path(name), &property, &err), &err);
    nm_ctx_set_time_limit(ctx, limit);
    opts.attack = attack;
    bench_check(nm_verify(ctx, net, property, &opts, &report, &err), &err);
    seconds = bench_now() - start;
    *right = strcmp(word_of(report.verdict), it->verdict) == 0;
    *wrong = !*right && report.verdict != NM_VERDICT_UNKNOWN;
    bare = report.n_nodes >= 100 ? bare_seconds(net) : 0;
    printf("%-30.30s %-26.26s %-7s %-5s %9lld %8.3f %8s", strrchr(it->network, '/') + 1,
           strrchr(it->property, '/') + 1, word_of(report.verdict),
           *right   ? ""
           : *wrong ? "WRONG"
                    : "open",
           (long long)report.n_nodes, seconds, it->best);
    if (bare > 0)
        printf("  %9.0f nodes/s, %.2f of bare products", (double)report.n_nodes / report.search_s,
               (double)report.n_nodes / report.search_s * bare / nm_ctx_threads(ctx));
    printf("\n");
    nm_verify_report_free(&report);
    nm_property_free(property);
    nm_net_free(net);
    return seconds;
}

static void run_set(nm_ctx *ctx, const char *set, double limit, bool attack)
{
    static instance list[MOST_INSTANCES];
    static double seconds[MOST_INSTANCES];
    int n = read_instances(set, list), n_right = 0, n_wrong = 0;
    double total = 0, longest = 0;

    printf("%s\n%-30s %-26s %-7s %-5s %9s %8s %8s\n", set, "network", "property", "verdict", "",
           "nodes", "s", "best s");
    for (int i = 0; i < n; i++) {
        bool right, wrong;

        seconds[i] = run(ctx, set, &list[i], limit, attack, &right, &wrong);
        n_right += right;
        n_wrong += wrong;
        total += seconds[i];
        longest = fmax(longest, seconds[i]);
    }
    if (n > 0)
        printf("%d of %d decided, %d wrong; total %.2f s, median %.3f s, longest %.2f s\n\n",
               n_right, n, n_wrong, total, bench_median(seconds, n), longest);
}

int main(int argc, char **argv)
{
    double limit = bench_option(argc, argv, "--time-limit", 120);
    nm_ctx *ctx = bench_ctx((int)bench_option(argc, argv, "--threads", 2));
    bool attack = bench_flag(argc, argv, "--attack");

    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        char option[32];

        (void)snprintf(option, sizeof option, "--no-%s", sets[i]);
        if (!bench_flag(argc, argv, option))
            run_set(ctx, sets[i], limit, attack);
    }
    nm_ctx_free(ctx);
    return 0;
}
