/* `netmend help heuristics`: every heuristic, from the library's tables. */
#ifndef NM_CLI_HELP_HEURISTICS_H
#define NM_CLI_HELP_HEURISTICS_H

#include <stdbool.h>
#include <stdio.h>

/** Prints the lists as text, or as one JSON document. */
void nm_help_heuristics(FILE *out, bool json);

#endif
