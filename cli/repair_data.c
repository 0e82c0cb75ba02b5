#include "repair_data.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* -- wanted classes ---------------------------------------------------------------------------- */

bool nm_repair_target_is_class(const char *target)
{
    return *target && strspn(target, "0123456789") == strlen(target);
}

/* Gives every point the same label; points without labels get an array for them. */
static nm_status label_all(nm_points *points, int64_t label, nm_err *err)
{
    nm_points labelled;
    int64_t *labels;
    nm_status rc = nm_cli_alloc(&labels, points->n, sizeof *labels, err);

    if (rc != NM_OK)
        return rc;
    for (int64_t i = 0; i < points->n; i++)
        labels[i] = label;
    rc = nm_points_from_arrays(points->x, points->n, points->n_in, labels, &labelled, err);
    free(labels);
    if (rc != NM_OK)
        return rc;
    for (int64_t i = 0; i < points->n; i++)
        labelled.rows[i] = points->rows[i];
    nm_points_free(points);
    *points = labelled;
    return NM_OK;
}

/* Loads the candidates, labelled with the classes that are wanted of them. */
static nm_status load_candidates(nm_cli *cli, const nm_repair_args *args, const nm_net *net,
                                 nm_points *out, nm_err *err)
{
    const char *target = args->target;
    nm_data_set set = args->inputs;
    nm_data_use use = {.option = "--inputs",
                       .net = net,
                       .needs_labels = !target,
                       .labels_by = "--labels (or --target)"};
    long long label;
    nm_status rc;

    if (!target)
        return nm_data_load(cli, &set, &args->prep, &use, out, err);
    if (!nm_repair_target_is_class(target)) {
        set.labels = target;
        return nm_data_load(cli, &set, &args->prep, &use, out, err);
    }
    errno = 0;
    label = strtoll(target, NULL, 10);
    if (errno != 0 || label >= nm_net_n_out(net))
        return nm_cli_fail(err, NM_E_ARG,
                           "--target %s: the network has %" PRId64 " outputs, 0 to %" PRId64,
                           target, nm_net_n_out(net), nm_net_n_out(net) - 1);
    rc = nm_data_load(cli, &set, &args->prep, &use, out, err);
    return rc == NM_OK ? label_all(out, label, err) : rc;
}

/* -- choosing ---------------------------------------------------------------------------------- */

static bool is_misclassified(const char *select)
{
    return strncmp(select, "Misclassified", strlen("Misclassified")) == 0;
}

static nm_status refuse_empty(const nm_repair_args *args, int64_t n, nm_err *err)
{
    return nm_cli_fail(
        err, NM_E_FORMAT, "%s: none of the %" PRId64 " points %s%s, so the repair set is empty",
        args->inputs.path, n,
        is_misclassified(args->select) ? "is misclassified" : "qualifies for --select ",
        is_misclassified(args->select) ? "" : args->select);
}

/* Published heuristics look at all candidates, whatever the repair set is. */
static bool needs_pool(const nm_repair_args *args)
{
    return args->edit && strncmp(args->edit, "published:", strlen("published:")) == 0;
}

static nm_status load_repair_set(nm_cli *cli, const nm_repair_args *args, const nm_net *net,
                                 nm_repair_data *out, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_points candidates = {0};
    nm_selection *chosen = &out->chosen;

    NM_CLI_TRY(load_candidates(cli, args, net, &candidates, err));
    rc = nm_select(cli->ctx, net, &candidates, args->select, args->size,
                   (uint64_t)args->common.seed, chosen, err);
    if (rc == NM_E_ARG)
        nm_cli_prefix(err, "--select");
    if (rc == NM_OK && chosen->n == 0)
        rc = refuse_empty(args, candidates.n, err);
    if (rc != NM_OK)
        goto done;
    if (args->size < INT64_MAX / 2 && chosen->n < args->size)
        nm_cli_warn(cli, "--size %" PRId64 ": there are only %" PRId64 " such points", args->size,
                    chosen->n);
    out->n_candidates = candidates.n;
    NM_CLI_TRY(nm_points_subset(&candidates, chosen->indices, chosen->n, &out->repair, err));
    if (needs_pool(args)) {
        out->pool = candidates;
        candidates = (nm_points){0};
    }
done:
    nm_points_free(&candidates);
    return rc;
}

/* -- what belongs together --------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* The same points: then they need not be read, nor evaluated, twice. */
static bool same_set(const nm_data_set *a, const nm_data_set *b)
{
    return same_text(a->path, b->path) && a->rows.first == b->rows.first &&
           a->rows.last == b->rows.last;
}

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Held-out means held out: points of the repair set do not count in a test set from their file. */
static nm_status hold_out(nm_points *test, const nm_points *repair, nm_err *err)
{
    int64_t *kept = NULL, *rows = NULL, n = 0, r = 0;
    nm_points rest;
    nm_status rc = NM_OK;

    NM_CLI_TRY(nm_cli_alloc(&kept, test->n, sizeof *kept, err));
    NM_CLI_TRY(nm_cli_alloc(&rows, repair->n, sizeof *rows, err));
    memcpy(rows, repair->rows, (size_t)repair->n * sizeof *rows);
    qsort(rows, (size_t)repair->n, sizeof *rows, by_number);
    for (int64_t i = 0; i < test->n; i++) { /* both in the order of the file */
        while (r < repair->n && rows[r] < test->rows[i])
            r++;
        if (r == repair->n || rows[r] != test->rows[i])
            kept[n++] = i;
    }
    if (n > 0 && n < test->n) {
        NM_CLI_TRY(nm_points_subset(test, kept, n, &rest, err));
        nm_points_free(test);
        *test = rest;
    }
done:
    free(kept);
    free(rows);
    return rc;
}

/* -- all sets ---------------------------------------------------------------------------------- */

nm_status nm_repair_data_load(nm_cli *cli, const nm_repair_args *args, const nm_net *net,
                              nm_repair_data *out, nm_err *err)
{
    const struct {
        const nm_data_set *set;
        nm_points *points;
        nm_data_use use;
    } others[] = {
        {&args->keep, &out->keep, {"--keep", net, true, "--keep-labels"}},
        {&args->reference, &out->reference, {"--reference", net, false, NULL}},
        {&args->validation, &out->validation, {"--validation", net, true, "--validation-labels"}},
        {&args->test, &out->test, {"--test", net, true, "--test-labels"}},
        {&args->similar, &out->similar, {"--similar", net, true, "--similar-labels"}},
    };
    nm_status rc;

    *out = (nm_repair_data){0};
    rc = load_repair_set(cli, args, net, out, err);
    for (size_t i = 0; rc == NM_OK && i < sizeof others / sizeof *others; i++) {
        if (others[i].set == &args->reference && same_set(&args->reference, &args->keep))
            continue; /* the keep set is the reference then, anyway */
        rc = nm_data_load(cli, others[i].set, &args->prep, &others[i].use, others[i].points, err);
    }
    if (rc == NM_OK && same_text(args->test.path, args->inputs.path) && args->test.path)
        rc = hold_out(&out->test, &out->repair, err);
    if (rc != NM_OK)
        nm_repair_data_free(out);
    return rc;
}

void nm_repair_data_free(nm_repair_data *data)
{
    nm_selection_free(&data->chosen);
    nm_points_free(&data->pool);
    nm_points_free(&data->repair);
    nm_points_free(&data->keep);
    nm_points_free(&data->reference);
    nm_points_free(&data->validation);
    nm_points_free(&data->test);
    nm_points_free(&data->similar);
    *data = (nm_repair_data){0};
}

nm_repair_task nm_repair_data_task(const nm_repair_data *data)
{
    return (nm_repair_task){
        .repair = &data->repair,
        .keep = data->keep.n > 0 ? &data->keep : NULL,
        .reference = data->reference.n > 0 ? &data->reference : NULL,
        .validation = data->validation.n > 0 ? &data->validation : NULL,
        .test = data->test.n > 0 ? &data->test : NULL,
        .similar = data->similar.n > 0 ? &data->similar : NULL,
    };
}
