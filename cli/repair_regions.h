/* netmend repair --regions, --boxes, or --property with --method aprnn: all inputs of regions. */
#ifndef NM_CLI_REPAIR_REGIONS_H
#define NM_CLI_REPAIR_REGIONS_H

#include "repair_args.h"

/** Whether regions are to be repaired, rather than points or a property by its counterexamples. */
bool nm_repair_regions_asked(const nm_repair_args *args);

/** NM_E_ARG for options that do not go with regions. */
nm_status nm_repair_regions_check(const nm_repair_args *args, nm_err *err);

/** The whole verb, in place of the repair of points. */
nm_status nm_repair_regions_run(nm_cli *cli, nm_repair_args *args, nm_err *err);

#endif
