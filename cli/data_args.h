/* The data arguments: which file holds which points, and how its numbers are prepared. */
#ifndef NM_CLI_DATA_ARGS_H
#define NM_CLI_DATA_ARGS_H

#include "cli.h"

/** One data argument: --NAME FILE, its labels, its rows. */
typedef struct nm_data_set {
    const char *path, *labels;
    nm_opt_rows rows;
} nm_data_set;

/** Preparation that goes to every data argument of a run. */
typedef struct nm_data_prep {
    double scale;
    nm_opt_doubles mean, std;
    int64_t label_column;
} nm_data_prep;

/* Rows for one nm_data_set each, and for nm_data_prep. */
extern const nm_opt nm_inputs_rows[], nm_keep_rows[], nm_reference_rows[], nm_validation_rows[],
    nm_test_rows[], nm_similar_rows[], nm_data_prep_rows[];

/** What the points are for; decides what they must fit. */
typedef struct nm_data_use {
    const char *option;    /**< "--keep", for messages */
    const nm_net *net;     /**< inputs and labels must fit it; NULL = any */
    bool needs_labels;     /**< refused without labels */
    const char *labels_by; /**< option that gives labels, for messages */
} nm_data_use;

/** Loads the points of a set; a set without a path leaves *out empty. Free with nm_points_free().
 */
nm_status nm_data_load(nm_cli *cli, const nm_data_set *set, const nm_data_prep *prep,
                       const nm_data_use *use, nm_points *out, nm_err *err);

/** Mean and standard deviation of n channels. */
typedef struct nm_data_channels {
    int n;
    double mean[NM_OPT_MAX_LIST], std[NM_OPT_MAX_LIST];
} nm_data_channels;

/** How the points of a set are read; n_in and n_classes are left open.
 *  @param ch  what the options' mean and std point to */
nm_status nm_data_reading(const nm_data_set *set, const nm_data_prep *prep, nm_data_channels *ch,
                          nm_data_opts *out, nm_err *err);

/** NM_E_ARG when labels or rows are given for a set that has no file. */
nm_status nm_data_check(const nm_data_set *set, const char *option, nm_err *err);

#endif
