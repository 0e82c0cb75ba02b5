#include "nearest.h"

#include <string.h>

enum { MAX_WORD = 40 };

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

/* Insertions, deletions, substitutions and swaps of neighbours count 1 each (optimal string
   alignment). Both words are at most MAX_WORD long. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t n_a = strlen(a), n_b = strlen(b);
    size_t d[MAX_WORD + 1][MAX_WORD + 1];

    for (size_t i = 0; i <= n_a; i++)
        d[i][0] = i;
    for (size_t j = 0; j <= n_b; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= n_a; i++)
        for (size_t j = 1; j <= n_b; j++) {
            size_t differs = a[i - 1] != b[j - 1];

            d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + differs);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i - 2][j - 2] + 1 < d[i][j])
                d[i][j] = d[i - 2][j - 2] + 1;
        }
    return d[n_a][n_b];
}

void nm_nearest_offer(nm_nearest *search, const char *candidate)
{
    size_t length = strlen(search->word);
    size_t distance;

    if (length > MAX_WORD || strlen(candidate) > MAX_WORD)
        return;
    /* Who types the beginning of a name means that name. */
    if (length >= 3 && strncmp(search->word, candidate, length) == 0)
        distance = 1;
    else
        distance = edit_distance(search->word, candidate);
    if (distance > 1 + length / 3 || distance >= length)
        return;
    if (!search->best || distance < search->distance) {
        search->best = candidate;
        search->distance = distance;
    }
}
