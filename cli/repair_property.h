/* netmend repair --property: until the property is proven. */
#ifndef NM_CLI_REPAIR_PROPERTY_H
#define NM_CLI_REPAIR_PROPERTY_H

#include "repair_args.h"

/** NM_E_ARG for options that do not go with --property. */
nm_status nm_repair_property_check(const nm_repair_args *args, nm_err *err);

/** --input-range for every input: *range [2 x inputs], lower ends first; NULL where it is not
 * given. Free with free(). */
nm_status nm_repair_input_range(const nm_repair_args *args, const nm_net *net, double **range,
                                nm_err *err);

/** The whole verb, in place of the repair of points. */
nm_status nm_repair_property_run(nm_cli *cli, nm_repair_args *args, nm_err *err);

#endif
