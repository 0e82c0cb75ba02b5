/* Prints how far float32 evaluations may deviate at some points, for a script that has one.
 *   deviation MODEL POINTS LIMIT [MEAN,MEAN,MEAN STD,STD,STD]
 * A JSON array, per point: the class with the largest score, the second, the margin between them
 * and the least slack and bounds of verify/deploy.h (null where infinite). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "netmend/netmend.h"
#include "verify/deploy.h"

static void print_bound(const char *name, double value)
{
    if (isfinite(value))
        printf(", \"%s\": %.17g", name, value);
    else
        printf(", \"%s\": null", name);
}

static int64_t largest(const double *score, int64_t n, int64_t without)
{
    int64_t best = -1;

    for (int64_t j = 0; j < n; j++)
        if (j != without && (best < 0 || score[j] > score[best]))
            best = j;
    return best;
}

static nm_status print_deviations(nm_ctx *ctx, const nm_net *net, const nm_points *points,
                                  nm_err *err)
{
    int64_t n = points->n, n_out = nm_net_n_out(net), n_x = n * points->n_in;
    double *x = NULL, *y = NULL;
    int64_t *target = NULL;
    nm_deploy d = {0};
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&x, (size_t)n_x, sizeof *x, err));
    NM_TRY(nm_alloc(&y, (size_t)n, (size_t)n_out * sizeof *y, err));
    NM_TRY(nm_alloc(&target, (size_t)n, sizeof *target, err));
    for (int64_t i = 0; i < n_x; i++)
        x[i] = (double)points->x[i];
    NM_TRY(nm_net_forward_f64(ctx, net, x, n, y, err));
    for (int64_t p = 0; p < n; p++)
        target[p] = largest(y + p * n_out, n_out, -1);
    NM_TRY(nm_deploy_check(ctx, net, points->x, target, n, false, &d, err));
    for (int64_t p = 0; p < n; p++) {
        printf("%s{\"target\": %d, \"other\": %d", p ? ",\n" : "[", (int)target[p],
               (int)largest(y + p * n_out, n_out, target[p]));
        print_bound("margin", d.margin[p]);
        print_bound("slack", d.slack[p]);
        print_bound("rigorous", d.rigorous[p]);
        print_bound("first_order", d.first_order[p]);
        print_bound("probable", d.probable[p]);
        printf("}");
    }
    printf("]\n");
done:
    nm_free(x);
    nm_free(y);
    nm_free(target);
    nm_deploy_clear(&d);
    return rc;
}

static int read_triple(const char *text, double *to)
{
    return sscanf(text, "%lf,%lf,%lf", &to[0], &to[1], &to[2]) == 3;
}

int main(int argc, char **argv)
{
    nm_data_opts opts = NM_DATA_OPTS_INIT;
    double mean[3], std[3];
    nm_ctx *ctx = NULL;
    nm_net *net = NULL;
    nm_points points = {0};
    nm_err error = {0}, *err = &error;
    nm_status rc = NM_OK;

    if (argc != 4 && (argc != 6 || !read_triple(argv[4], mean) || !read_triple(argv[5], std))) {
        fprintf(stderr, "usage: deviation MODEL POINTS LIMIT [MEAN,.. STD,..]\n");
        return 2;
    }
    if (argc == 6) {
        opts.mean = mean;
        opts.std = std;
        opts.n_channels = 3;
    }
    opts.last = atoll(argv[3]);
    NM_TRY(nm_ctx_new(&ctx, err));
    NM_TRY(nm_net_load(ctx, argv[1], &net, err));
    opts.n_in = nm_net_n_in(net);
    NM_TRY(nm_points_load(ctx, argv[2], NULL, &opts, &points, err));
    NM_TRY(print_deviations(ctx, net, &points, err));
done:
    if (rc != NM_OK)
        fprintf(stderr, "%s\n", error.text);
    nm_points_free(&points);
    nm_net_free(net);
    nm_ctx_free(ctx);
    return rc == NM_OK ? 0 : 1;
}
