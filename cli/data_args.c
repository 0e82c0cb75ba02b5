#include "data_args.h"

#include <math.h>

#define ROW_OF_SET(field) .offset = offsetof(nm_data_set, field)

/* The three options of one data argument. */
#define SET_ROWS(set_name, labels_name, range_name, x_short, y_short, text, labels_text)           \
    {                                                                                              \
        {.name = (set_name),                                                                       \
         .short_name = (x_short),                                                                  \
         .kind = NM_OPT_PATH,                                                                      \
         ROW_OF_SET(path),                                                                         \
         .arg = "FILE",                                                                            \
         .help = (text)},                                                                          \
            {.name = (labels_name),                                                                \
             .short_name = (y_short),                                                              \
             .kind = NM_OPT_PATH,                                                                  \
             ROW_OF_SET(labels),                                                                   \
             .arg = "FILE",                                                                        \
             .help = (labels_text)},                                                               \
            {.name = (range_name),                                                                 \
             .kind = NM_OPT_ROWS,                                                                  \
             ROW_OF_SET(rows),                                                                     \
             .arg = "A:B",                                                                         \
             .help = "take rows A to B-1 of it",                                                   \
             .shown = "all"},                                                                      \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

const nm_opt nm_inputs_rows[] =
    SET_ROWS("inputs", "labels", "x-range", 'x', 'y', "failing (or candidate) points",
             "their labels, where the file does not hold them");
const nm_opt nm_keep_rows[] =
    SET_ROWS("keep", "keep-labels", "keep-range", 0, 0,
             "points that must stay right (those that are right now)", "their labels");
const nm_opt nm_reference_rows[] =
    SET_ROWS("reference", "reference-labels", "reference-range", 0, 0,
             "data that norms and heuristics look at; default: the keep set, else the inputs",
             "their labels");
const nm_opt nm_validation_rows[] = SET_ROWS(
    "validation", "validation-labels", "validation-range", 0, 0,
    "points that passes and trials of layers are judged on; default: the reference data if they "
    "have labels, else the keep set, else (passes) the test set",
    "their labels");
const nm_opt nm_test_rows[] = SET_ROWS("test", "test-labels", "test-range", 0, 0,
                                       "points on which accuracy is measured", "their labels");
const nm_opt nm_similar_rows[] = SET_ROWS(
    "similar", "similar-labels", "similar-range", 0, 0,
    "unseen points like the failing ones: generalization is measured here", "their labels");

#define ROW_OF_PREP(field) .offset = offsetof(nm_data_prep, field)

const nm_opt nm_data_prep_rows[] = {
    {.name = "scale",
     .kind = NM_OPT_DOUBLE,
     ROW_OF_PREP(scale),
     .arg = "S",
     .above_min = true,
     .max = INFINITY,
     .initial = "auto",
     .word = "auto",
     .word_value = 0,
     .help = "divide values by S; auto: 255 for 8-bit images, else 1"},
    {.name = "mean",
     .kind = NM_OPT_DOUBLES,
     ROW_OF_PREP(mean),
     .arg = "M[,M..]",
     .min = -INFINITY,
     .max = INFINITY,
     .initial = "0",
     .help = "then subtract, per channel"},
    {.name = "std",
     .kind = NM_OPT_DOUBLES,
     ROW_OF_PREP(std),
     .arg = "S[,S..]",
     .above_min = true,
     .max = INFINITY,
     .initial = "1",
     .help = "then divide by, per channel"},
    {.name = "label-column",
     .kind = NM_OPT_INT,
     ROW_OF_PREP(label_column),
     .arg = "K",
     .min = -1e6,
     .max = 1e6,
     .initial = "none",
     .word = "none",
     .word_value = NM_LABEL_NONE,
     .help = "CSV column that holds the label; from 0, negative counts from the end"},
    {0}};

nm_status nm_data_check(const nm_data_set *set, const char *option, nm_err *err)
{
    if (!set->path && set->labels)
        return nm_cli_fail(err, NM_E_ARG, "labels without points: %s is missing", option);
    if (!set->path && (set->rows.first != 0 || set->rows.last >= 0))
        return nm_cli_fail(err, NM_E_ARG, "rows without points: %s is missing", option);
    return NM_OK;
}

/* A list of one entry counts for all channels. */
static nm_status spread_channels(const nm_data_prep *prep, nm_data_channels *out, nm_err *err)
{
    const nm_opt_doubles *mean = &prep->mean, *std = &prep->std;

    out->n = mean->n > std->n ? mean->n : std->n;
    if ((mean->n > 1 && mean->n < out->n) || (std->n > 1 && std->n < out->n))
        return nm_cli_fail(err, NM_E_ARG, "--mean has %d values and --std %d, expected as many",
                           mean->n, std->n);
    for (int i = 0; i < out->n; i++) {
        out->mean[i] = mean->v[mean->n == 1 ? 0 : i];
        out->std[i] = std->v[std->n == 1 ? 0 : i];
    }
    return NM_OK;
}

nm_status nm_data_reading(const nm_data_set *set, const nm_data_prep *prep, nm_data_channels *ch,
                          nm_data_opts *out, nm_err *err)
{
    nm_status rc = spread_channels(prep, ch, err);

    *out = (nm_data_opts)NM_DATA_OPTS_INIT;
    out->first = set->rows.first;
    out->last = set->rows.last;
    out->scale = prep->scale;
    out->n_channels = ch->n;
    out->mean = ch->mean;
    out->std = ch->std;
    out->label_column = (int)prep->label_column;
    return rc;
}

nm_status nm_data_load(nm_cli *cli, const nm_data_set *set, const nm_data_prep *prep,
                       const nm_data_use *use, nm_points *out, nm_err *err)
{
    nm_data_opts opts;
    nm_data_channels ch = {0};
    nm_status rc = nm_data_check(set, use->option, err);

    *out = (nm_points){0};
    if (rc != NM_OK || !set->path)
        return rc;
    rc = nm_data_reading(set, prep, &ch, &opts, err);
    if (rc != NM_OK)
        return rc;
    opts.n_in = use->net ? nm_net_n_in(use->net) : 0;
    opts.n_classes = use->net ? nm_net_n_out(use->net) : 0;
    rc = nm_points_load(cli->ctx, set->path, set->labels, &opts, out, err);
    if (rc != NM_OK)
        return rc;
    if (out->n == 0)
        rc = nm_cli_fail(err, NM_E_FORMAT, "%s: no points, expected at least one", set->path);
    else if (use->needs_labels && !out->labels)
        rc = nm_cli_fail(err, NM_E_ARG, "%s: no labels; give them with %s", set->path,
                         use->labels_by);
    if (rc != NM_OK) {
        nm_points_free(out);
        *out = (nm_points){0};
    }
    return rc;
}
