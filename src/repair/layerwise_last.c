/* The last layer that is left to change. */
#include <math.h>

#include "base/mem.h"
#include "repair/layerwise_cuts.h"
#include "repair/layerwise_search.h"
#include "repair/layerwise_solve.h"

/* A layer with more of the network behind it: a few steps along the gradient, each solved for the
   whole change. */
static nm_status last_layer_by_steps(nm_lw_search *s, int b, const nm_lw_goal *goal, nm_err *err)
{
    enum { MOST = 6 };
    nm_lw *lw = s->lw;
    nm_lw_best now;
    nm_lw_cut c = {0};
    double *wish = NULL;
    nm_status rc = NM_OK;

    for (int i = 0; i < MOST; i++) {
        NM_TRY(nm_lw_gradients(lw, goal, b, err));
        NM_TRY(nm_lw_cut_make(lw, goal, b, &c, err));
        NM_TRY(nm_lw_cut_wish(lw, &c, 1 + 0.1 * i, &wish, err));
        NM_TRY(nm_lw_solve_wish(lw, b, wish, goal->value, err));
        NM_TRY(nm_lw_rate(s, goal, &now, err));
        if (now.holds || !isfinite(now.loss))
            break;
        nm_free(wish);
        wish = NULL;
        nm_lw_cut_clear(&c);
    }
done:
    nm_free(wish);
    nm_lw_cut_clear(&c);
    return rc;
}

nm_status nm_lw_last_layer(nm_lw_search *s, int b, const nm_lw_goal *goal, nm_err *err)
{
    nm_lw *lw = s->lw;
    double *wish = NULL;
    bool done = false;
    nm_status rc = NM_OK;

    if (goal->wish)
        return nm_lw_solve_wish(lw, b, goal->wish, goal->value, err);
    if (nm_lw_out(lw, b) != goal->value)
        return last_layer_by_steps(s, b, goal, err);
    NM_TRY(nm_memdup(&wish, lw->near, (size_t)(lw->n * lw->n_scores), sizeof *wish, err));
    NM_TRY(nm_lw_solve_scores(lw, b, &done, err));
    if (!done)
        NM_TRY(nm_lw_solve_wish(lw, b, wish, goal->value, err));
done:
    nm_free(wish);
    return rc;
}
