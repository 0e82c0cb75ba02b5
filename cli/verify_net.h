/* Loading the network of a property, in the units that the property speaks of. */
#ifndef NM_CLI_VERIFY_NET_H
#define NM_CLI_VERIFY_NET_H

#include "cli.h"

/** What X_i and Y_i of a property are to a .nnet network. */
enum { NM_UNITS_AUTO, NM_UNITS_RAW, NM_UNITS_NORMALISED };

/** Loads a network. A .nnet file takes raw values and normalises them, while properties are usually
 *  about normalised ones: with NM_UNITS_AUTO, the range of inputs that the file states decides.
 *  @param units  what was asked for; replaced by what was taken
 *  @return NM_E_ARG when both are possible */
nm_status nm_cli_load_for_property(nm_cli *cli, const char *path, const nm_property *property,
                                   const char *property_path, int *units, nm_net **out,
                                   nm_err *err);

#endif
