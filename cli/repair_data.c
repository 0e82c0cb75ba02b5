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

typedef enum selection { SELECT_ALL, SELECT_MISCLASSIFIED } selection;

static nm_status parse_selection(const char *text, selection *out, nm_err *err)
{
    size_t length = strcspn(text, ":");
    bool all = length == 3 && strncmp(text, "All", 3) == 0;
    bool misclassified = length == 13 && strncmp(text, "Misclassified", 13) == 0;

    if (!all && !misclassified)
        return nm_cli_fail(err, NM_E_ARG,
                           "--select %.*s is not available in this version, which has All and "
                           "Misclassified",
                           (int)length, text);
    if (text[length])
        return nm_cli_fail(err, NM_E_ARG, "--select %.*s takes no parameters, got '%s'",
                           (int)length, text, text + length + 1);
    *out = all ? SELECT_ALL : SELECT_MISCLASSIFIED;
    return NM_OK;
}

/* Indices of the chosen points, in file order, at most max; chosen has room for all. */
static nm_status choose(nm_cli *cli, const nm_net *net, const nm_points *from, selection how,
                        int64_t max, int64_t *chosen, int64_t *n_chosen, nm_err *err)
{
    int64_t *predicted = NULL;
    nm_status rc = NM_OK;

    *n_chosen = 0;
    if (how == SELECT_MISCLASSIFIED) {
        NM_CLI_TRY(nm_cli_alloc(&predicted, from->n, sizeof *predicted, err));
        NM_CLI_TRY(nm_predict(cli->ctx, net, from->x, from->n, predicted, err));
    }
    for (int64_t i = 0; i < from->n && *n_chosen < max; i++)
        if (!predicted || predicted[i] != from->labels[i])
            chosen[(*n_chosen)++] = i;
done:
    free(predicted);
    return rc;
}

static nm_status load_repair_set(nm_cli *cli, const nm_repair_args *args, const nm_net *net,
                                 nm_repair_data *out, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_points candidates = {0};
    int64_t *chosen = NULL;
    int64_t n_chosen;
    selection how = SELECT_ALL;

    NM_CLI_TRY(parse_selection(args->select, &how, err));
    NM_CLI_TRY(load_candidates(cli, args, net, &candidates, err));
    NM_CLI_TRY(nm_cli_alloc(&chosen, candidates.n, sizeof *chosen, err));
    NM_CLI_TRY(choose(cli, net, &candidates, how, args->size, chosen, &n_chosen, err));
    if (n_chosen == 0)
        NM_CLI_THROW(err, NM_E_FORMAT,
                     "%s: none of the %" PRId64 " points is misclassified, so the "
                     "repair set is empty",
                     args->inputs.path, candidates.n);
    if (args->size < INT64_MAX / 2 && n_chosen < args->size)
        nm_cli_warn(cli, "--size %" PRId64 ": there are only %" PRId64 " such points", args->size,
                    n_chosen);
    out->n_candidates = candidates.n;
    NM_CLI_TRY(nm_points_subset(&candidates, chosen, n_chosen, &out->repair, err));
done:
    free(chosen);
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

/* Held-out means held out: points of the repair set do not count in a test set from their file. */
static nm_status hold_out(nm_points *test, const nm_points *repair, nm_err *err)
{
    int64_t *kept, n = 0, r = 0;
    nm_points rest;
    nm_status rc = nm_cli_alloc(&kept, test->n, sizeof *kept, err);

    if (rc != NM_OK)
        return rc;
    for (int64_t i = 0; i < test->n; i++) { /* both in the order of the file */
        while (r < repair->n && repair->rows[r] < test->rows[i])
            r++;
        if (r == repair->n || repair->rows[r] != test->rows[i])
            kept[n++] = i;
    }
    if (n > 0 && n < test->n) {
        rc = nm_points_subset(test, kept, n, &rest, err);
        if (rc == NM_OK) {
            nm_points_free(test);
            *test = rest;
        }
    }
    free(kept);
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
    nm_points_free(&data->repair);
    nm_points_free(&data->keep);
    nm_points_free(&data->reference);
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
        .test = data->test.n > 0 ? &data->test : NULL,
        .similar = data->similar.n > 0 ? &data->similar : NULL,
    };
}
