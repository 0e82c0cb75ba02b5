/* Parameters of heuristics: "NAME:key=value,..." against a heuristic's table. */
#ifndef NM_CHOOSE_VALUES_H
#define NM_CHOOSE_VALUES_H

#include "base/err.h"
#include "netmend/heuristic.h"

/** One parameter a place, in the order of the heuristic's table. */
typedef struct nm_values {
    double v[NM_HEURISTIC_MAX_PARAMS];
    bool given[NM_HEURISTIC_MAX_PARAMS];
    const char *list[NM_HEURISTIC_MAX_PARAMS]; /* LIST: the text, lent; it ends at ',' or 0 */
} nm_values;

/** Defaults first, then what the text gives. @param text  behind "NAME", i.e. "" or ":key=..." */
nm_status nm_values_parse(const nm_heuristic *h, const char *text, nm_values *out, nm_err *err);

/** Length of the name at the beginning of the text ("published:" belongs to it). */
size_t nm_heuristic_name_length(const char *text);

/** The numbers of a list, in order. @param most  exclusive limit of each
 *  @param out  for nm_free() */
nm_status nm_values_list(const char *text, int64_t most, const char *what, int64_t **out,
                         int64_t *n, nm_err *err);

/** INDEX of a heuristic in a table of pointers by name; -1 with a message that lists the nearest.
 */
typedef const nm_heuristic *(*nm_heuristic_at)(int i);
nm_status nm_heuristic_find(nm_heuristic_at at, const char *kind, const char *text, int *index,
                            nm_err *err);

#endif
