#include "moons_data.h"

nm_status nm_moons_data_split(const nm_points *all, double test_share, int64_t seed,
                              nm_moons_data *out, nm_err *err)
{
    *out = (nm_moons_data){0};
    if (seed > UINT32_MAX)
        return nm_cli_fail(err, NM_E_ARG, "--seed must be below 2^32 here");
    if (test_share == 0)
        return nm_points_from_arrays(all->x, all->n, all->n_in, all->labels, &out->train, err);
    return nm_split(all, test_share, (uint32_t)seed, &out->train, &out->test, err);
}

nm_status nm_moons_data_make(const nm_moons_opts *opts, int64_t seed, nm_moons_data *out,
                             nm_err *err)
{
    nm_points all = {0};
    nm_status rc;

    *out = (nm_moons_data){0};
    if (seed > UINT32_MAX)
        return nm_cli_fail(err, NM_E_ARG, "--seed must be below 2^32 here");
    rc = nm_moons(opts->n, opts->noise, (uint32_t)seed, &all, err);
    if (rc == NM_OK)
        rc = nm_moons_data_split(&all, opts->test_share, seed, out, err);
    nm_points_free(&all);
    return rc;
}

void nm_moons_data_free(nm_moons_data *data)
{
    nm_points_free(&data->train);
    nm_points_free(&data->test);
    *data = (nm_moons_data){0};
}

nm_status nm_path_join(char path[static NM_PATH_MAX], const char *first, const char *second,
                       nm_err *err)
{
    if (snprintf(path, NM_PATH_MAX, "%s%s", first, second) >= NM_PATH_MAX)
        return nm_cli_fail(err, NM_E_ARG, "the path %.64s... is too long", first);
    return NM_OK;
}

nm_status nm_points_save(const nm_points *points, const char *prefix, nm_err *err)
{
    char path[NM_PATH_MAX];
    nm_status rc = NM_OK;

    NM_CLI_TRY(nm_path_join(path, prefix, "_x.npy", err));
    NM_CLI_TRY(nm_npy_write_f32(path, points->x, points->n, points->n_in, err));
    if (points->labels) {
        NM_CLI_TRY(nm_path_join(path, prefix, "_y.npy", err));
        NM_CLI_TRY(nm_npy_write_i64(path, points->labels, points->n, err));
    }
done:
    return rc;
}
