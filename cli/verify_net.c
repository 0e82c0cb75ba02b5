#include "verify_net.h"

#include <stdlib.h>

/* Whether the boxes lie within the range of inputs that the file states. */
static nm_status fits(const nm_net *net, const nm_property *property, bool *stated, bool *within,
                      nm_err *err)
{
    int64_t n = nm_net_n_in(net);
    double *range;
    nm_status rc = nm_cli_alloc(&range, 2 * n, sizeof *range, err);

    *stated = *within = false;
    if (rc != NM_OK)
        return rc;
    *stated = nm_property_n_in(property) == n && nm_net_in_range(net, range, range + n);
    *within = *stated && nm_property_within(property, range, range + n);
    free(range);
    return NM_OK;
}

static nm_status choose(nm_cli *cli, const char *path, const char *property_path, bool fits_raw,
                        bool fits_normalised, int *units, nm_err *err)
{
    if (fits_raw && fits_normalised)
        return nm_cli_fail(
            err, NM_E_ARG,
            "%s: its boxes fit raw and normalised inputs of %s: say which with --units",
            property_path, path);
    if (!fits_raw && !fits_normalised)
        nm_cli_warn(cli, "%s: its boxes leave the range of inputs that %s states; taken as raw",
                    property_path, path);
    *units = fits_normalised ? NM_UNITS_NORMALISED : NM_UNITS_RAW;
    return NM_OK;
}

nm_status nm_cli_load_for_property(nm_cli *cli, const char *path, const nm_property *property,
                                   const char *property_path, int *units, nm_net **out, nm_err *err)
{
    nm_net *raw = NULL, *normalised = NULL;
    bool stated, fits_raw, fits_normalised;
    nm_status rc = NM_OK;

    *out = NULL;
    if (*units == NM_UNITS_NORMALISED)
        return nm_net_load_normalised(cli->ctx, path, out, err);
    NM_CLI_TRY(nm_net_load(cli->ctx, path, &raw, err));
    NM_CLI_TRY(fits(raw, property, &stated, &fits_raw, err));
    if (*units == NM_UNITS_AUTO && !stated)
        *units = NM_UNITS_RAW;
    if (*units == NM_UNITS_AUTO) {
        NM_CLI_TRY(nm_net_load_normalised(cli->ctx, path, &normalised, err));
        NM_CLI_TRY(fits(normalised, property, &stated, &fits_normalised, err));
        if (nm_net_n_ops(raw) == nm_net_n_ops(normalised)) /* nothing to normalise */
            *units = NM_UNITS_RAW;
        else
            NM_CLI_TRY(choose(cli, path, property_path, fits_raw, fits_normalised, units, err));
    }
    *out = *units == NM_UNITS_NORMALISED ? normalised : raw;
    if (*out == raw)
        raw = NULL;
    else
        normalised = NULL;
done:
    nm_net_free(raw);
    nm_net_free(normalised);
    return rc;
}
