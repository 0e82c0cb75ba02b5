/* The points of one repair: loading, choosing the repair set, wanted classes. */
#ifndef NM_CLI_REPAIR_DATA_H
#define NM_CLI_REPAIR_DATA_H

#include "repair_args.h"

/** Sets that were not given are empty. Free with nm_repair_data_free(). */
typedef struct nm_repair_data {
    nm_points repair; /**< the chosen points; their labels are the wanted classes */
    nm_points keep, reference, validation, test, similar;
    int64_t n_candidates; /**< points of --inputs, from which they were chosen */
    nm_selection chosen;  /**< of them, which, and by what scores */
    nm_points pool;       /**< all candidates, where --edit looks at them; else empty */
} nm_repair_data;

nm_status nm_repair_data_load(nm_cli *cli, const nm_repair_args *args, const nm_net *net,
                              nm_repair_data *out, nm_err *err);
void nm_repair_data_free(nm_repair_data *data);

/** "--target 3": one class for all points, rather than a file of labels. */
bool nm_repair_target_is_class(const char *target);

/** The library's view of the data; lends everything. */
nm_repair_task nm_repair_data_task(const nm_repair_data *data);

#endif
