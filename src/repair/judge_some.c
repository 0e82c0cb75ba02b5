#include "repair/judge_some.h"

int64_t nm_judge_points(const nm_deploy *deploy, nm_safe safe, const bool *out, double asked,
                        bool *passes, bool *right)
{
    int64_t n = 0;

    for (int64_t p = 0; p < deploy->n; p++) {
        right[p] = deploy->margin[p] > 0;
        passes[p] = nm_deploy_passes(deploy, safe, p) &&
                    (!(out && out[p]) || deploy->margin[p] >= asked);
        n += passes[p];
    }
    return n;
}
