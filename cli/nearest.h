/* "Did you mean ...": the candidate with the smallest edit distance to a word. */
#ifndef NM_CLI_NEAREST_H
#define NM_CLI_NEAREST_H

#include <stddef.h>

/** Search in progress; start from `{.word = w}`, offer candidates, read `best` (NULL: none near).
 */
typedef struct nm_nearest {
    const char *word;
    const char *best;
    size_t distance;
} nm_nearest;

/** Considers one candidate; strings are lent and must outlive the search. */
void nm_nearest_offer(nm_nearest *search, const char *candidate);

#endif
