/* Generated points as files: what `train` and `demo` share. */
#ifndef NM_CLI_MOONS_DATA_H
#define NM_CLI_MOONS_DATA_H

#include "cli.h"

/** Points to learn from and points held out (empty when no share is held out). */
typedef struct nm_moons_data {
    nm_points train, test;
} nm_moons_data;

/** How to generate them. */
typedef struct nm_moons_opts {
    int64_t n;
    double noise, test_share;
} nm_moons_opts;

/** Splits `all` by the seed; test_share 0 keeps everything for training. */
nm_status nm_moons_data_split(const nm_points *all, double test_share, int64_t seed,
                              nm_moons_data *out, nm_err *err);

/** Two moons, split. NM_E_ARG if the seed does not fit the generator (32 bits). */
nm_status nm_moons_data_make(const nm_moons_opts *opts, int64_t seed, nm_moons_data *out,
                             nm_err *err);
void nm_moons_data_free(nm_moons_data *data);

enum { NM_PATH_MAX = 1024 };

/** Writes PREFIX_x.npy and PREFIX_y.npy. */
nm_status nm_points_save(const nm_points *points, const char *prefix, nm_err *err);

/** first + second as a path. NM_E_ARG if too long. */
nm_status nm_path_join(char path[static NM_PATH_MAX], const char *first, const char *second,
                       nm_err *err);

#endif
