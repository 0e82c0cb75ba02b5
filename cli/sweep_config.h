/* The configuration of a sweep: what is combined, and what all rows share. */
#ifndef NM_CLI_SWEEP_CONFIG_H
#define NM_CLI_SWEEP_CONFIG_H

#include "repair_args.h"
#include "sweep_table.h"

enum { NM_SWEEP_MAX = 64 };

/** A heuristic under the name that the table gives it. An edit heuristic can bring a recipe. */
typedef struct nm_sweep_item {
    const char *name, *use;
    const json_t *repair;  /**< object: options that differ from the shared ones; NULL = none */
    const json_t *without; /**< list: data sets ("keep", "reference") not used; NULL = none */
} nm_sweep_item;

typedef struct nm_sweep_config {
    json_t *root;                 /**< owns all texts */
    char *argv[2 * NM_SWEEP_MAX]; /**< "--option=value" of everything shared; owned */
    int argc;
    nm_sweep_item edit[NM_SWEEP_MAX], set[NM_SWEEP_MAX];
    const char *strategy[NM_SWEEP_MAX], *norm[NM_SWEEP_MAX];
    int64_t size[NM_SWEEP_MAX], seed[NM_SWEEP_MAX]; /**< size: INT64_MAX = all */
    int n_edit, n_set, n_strategy, n_norm, n_size, n_seed;
    double cell_time_limit_s;
} nm_sweep_config;

/** One combination. */
typedef struct nm_sweep_cell {
    nm_sweep_item edit, set;
    const char *strategy, *norm;
    int64_t size, seed;
} nm_sweep_cell;

/** Reads and checks a configuration; relative paths in it count from its folder. Messages name the
 *  file and the key. Free with nm_sweep_config_free(). */
nm_status nm_sweep_config_load(const char *path, nm_sweep_config *out, nm_err *err);

/** The same from a document in memory, which the configuration takes over.
 *  @param source  for messages, and whose folder relative paths count from */
nm_status nm_sweep_config_read(json_t *root, const char *source, nm_sweep_config *out, nm_err *err);
void nm_sweep_config_free(nm_sweep_config *config);

/** The shared options as the arguments of a repair. @param out  zeroed; lends the config's texts */
nm_status nm_sweep_config_args(const nm_sweep_config *config, const char *path, nm_repair_args *out,
                               nm_err *err);

int64_t nm_sweep_n_cells(const nm_sweep_config *config);

/** Combinations vary in the seed first, then norm, size, strategy, set, edit. */
nm_sweep_cell nm_sweep_cell_at(const nm_sweep_config *config, int64_t i);

#endif
