#include "choose/rivals.h"

#include <string.h>

/* The rivals of point p, best first. @return how many */
static int64_t list_rivals(const nm_tail *tail, int64_t p, int64_t target, int64_t *rivals)
{
    int64_t n_scores = tail->net->values[tail->net->scores].size, n = 0;
    const double *score = tail->at->val[tail->net->scores] + p * n_scores;

    for (int64_t j = 0; j < n_scores; j++) {
        int64_t at = n;

        if (j == target)
            continue;
        while (at > 0 && score[j] > score[rivals[at - 1]])
            at--;
        if (at == NM_RIVALS)
            continue;
        n = n < NM_RIVALS ? n + 1 : NM_RIVALS;
        memmove(rivals + at + 1, rivals + at, (size_t)(n - 1 - at) * sizeof *rivals);
        rivals[at] = j;
    }
    return n;
}

int64_t nm_rival_rows(const nm_tail *tail, const int64_t *target, nm_row_id *rows)
{
    int64_t rivals[NM_RIVALS], m = 0;

    for (int64_t p = 0; p < tail->at->n; p++) {
        int64_t n = list_rivals(tail, p, target[p], rivals);

        for (int64_t i = 0; i < n; i++)
            rows[m++] = (nm_row_id){.kind = NM_ROW_LABEL, .point = p, .k = rivals[i]};
    }
    return m;
}
