/* Projections against an enumeration of all active sets: the nearest point of a polytope is the
 * nearest point of the flat of some linearly independent rows. */
#include "support.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "netmend/netmend.h"
#include "solve/projection.h"

enum { MAX_N = 4, MAX_ROWS = 6 };

/* Solves a [k x k] b = rhs by elimination with pivoting; false if it is singular. */
static bool eliminate(int k, double a[MAX_N][MAX_N], double *b)
{
    for (int i = 0; i < k; i++) {
        int best = i;

        for (int r = i; r < k; r++)
            best = fabs(a[r][i]) > fabs(a[best][i]) ? r : best;
        if (fabs(a[best][i]) < 1e-9)
            return false;
        for (int c = 0; c < k; c++) {
            double t = a[i][c];

            a[i][c] = a[best][c];
            a[best][c] = t;
        }
        double t = b[i];

        b[i] = b[best];
        b[best] = t;
        for (int r = 0; r < k; r++) {
            double f = r == i ? 0 : a[r][i] / a[i][i];

            for (int c = 0; c < k; c++)
                a[r][c] -= f * a[i][c];
            b[r] -= f * b[i];
        }
    }
    for (int i = 0; i < k; i++)
        b[i] /= a[i][i];
    return true;
}

/* Moves z to the flat on which rows row[0 .. k-1] hold with equality; false if they depend. */
static bool drop_to_flat(const nm_polytope *p, int n, const int *row, int k, double *z)
{
    double a[MAX_N][MAX_N], b[MAX_N];

    for (int i = 0; i < k; i++) {
        b[i] = -p->d[row[i]];
        for (int c = 0; c < n; c++)
            b[i] += p->c[row[i] * n + c] * z[c];
        for (int j = 0; j < k; j++) {
            a[i][j] = 0;
            for (int c = 0; c < n; c++)
                a[i][j] += p->c[row[i] * n + c] * p->c[row[j] * n + c];
        }
    }
    if (!eliminate(k, a, b))
        return false;
    for (int i = 0; i < k; i++)
        for (int c = 0; c < n; c++)
            z[c] -= b[i] * p->c[row[i] * n + c];
    return true;
}

/* Distance of y to the flat of the rows of `set`, if the foot z lies in p. */
static double foot(const nm_polytope *p, int n, const double *y, unsigned set, double *z)
{
    int row[MAX_ROWS], k = 0;
    double squared = 0;

    for (int i = 0; i < p->n_rows; i++)
        if (set >> i & 1)
            row[k++] = i;
    if (k > n)
        return INFINITY;
    memcpy(z, y, (size_t)n * sizeof *z);
    for (int refined = 0; refined < 3; refined++)
        if (!drop_to_flat(p, n, row, k, z))
            return INFINITY;
    for (int c = 0; c < n; c++)
        squared += (z[c] - y[c]) * (z[c] - y[c]);
    return nm_polytope_excess(p, n, z) <= 1e-9 ? sqrt(squared) : INFINITY;
}

static double enumerate(const nm_polytope *p, int n, const double *y, double *nearest)
{
    double best = INFINITY, z[MAX_N];

    for (unsigned set = 0; set < 1U << p->n_rows; set++) {
        double d = foot(p, n, y, set, z);

        if (d < best) {
            best = d;
            memcpy(nearest, z, (size_t)n * sizeof *z);
        }
    }
    return best;
}

typedef struct world {
    nm_ctx *ctx;
    nm_rng rng;
    double c[3][MAX_ROWS * MAX_N], d[3][MAX_ROWS], y[MAX_N];
    nm_polytope piece[3];
    nm_union all;
    int n;
} world;

static void make_world(world *w, uint64_t seed)
{
    w->rng = (nm_rng){.seed = seed};
    w->n = 1 + (int)(seed % MAX_N);
    w->all = (nm_union){.n_pieces = 1 + (int64_t)(seed % 3), .pieces = w->piece};
    for (int i = 0; i < 3; i++) {
        int rows = (int)(nm_rng_uniform(&w->rng) * (MAX_ROWS + 1)) % (MAX_ROWS + 1);

        w->piece[i] = (nm_polytope){.n_rows = rows, .c = w->c[i], .d = w->d[i]};
        for (int k = 0; k < rows * w->n; k++)
            w->c[i][k] = nm_rng_normal(&w->rng);
        for (int k = 0; k < rows; k++)
            w->d[i][k] = nm_rng_normal(&w->rng) - 0.3;
    }
    for (int k = 0; k < w->n; k++)
        w->y[k] = 2 * nm_rng_normal(&w->rng);
}

static void polytopes_agree_with_enumeration(void **state)
{
    world *w = *state;
    int n_empty = 0, n_moved = 0;
    nm_err err = {0};

    for (uint64_t seed = 0; seed < 3000; seed++) {
        double want_z[MAX_N], z[MAX_N], want;
        nm_nearest got;

        make_world(w, seed);
        want = enumerate(&w->piece[0], w->n, w->y, want_z);
        nm_assert_ok(nm_project_polytope(w->ctx, &w->piece[0], w->n, w->y, z, &got, &err), &err);
        n_empty += isinf(want);
        n_moved += want > 0 && !isinf(want);
        if (isinf(want) != (got.outcome == NM_NEAREST_EMPTY))
            fail_msg("seed %d: distance %g, outcome %d (%g, excess %g)", (int)seed, want,
                     (int)got.outcome, got.distance, nm_polytope_excess(&w->piece[0], w->n, z));
        if (isinf(want))
            continue;
        nm_assert_close(&got.distance, &want, 1, 1e-8, 1e-9);
        nm_assert_close(z, want_z, (size_t)w->n, 1e-7, 1e-8);
        assert_true(nm_polytope_excess(&w->piece[0], w->n, z) < 1e-11 * (1 + want));
    }
    assert_true(n_empty > 100 && n_moved > 500);
}

static void unions_take_the_nearest_piece(void **state)
{
    world *w = *state;
    int n_other = 0;
    nm_err err = {0};

    for (uint64_t seed = 0; seed < 1500; seed++) {
        double best = INFINITY, z[MAX_N], other[MAX_N];
        nm_nearest got;

        make_world(w, seed);
        for (int64_t i = 0; i < w->all.n_pieces; i++)
            best = fmin(best, enumerate(&w->piece[i], w->n, w->y, other));
        nm_assert_ok(nm_project_union(w->ctx, &w->all, w->n, w->y, z, &got, &err), &err);
        if (isinf(best)) {
            assert_int_equal(got.outcome, NM_NEAREST_EMPTY);
            assert_int_equal(got.n_empty, w->all.n_pieces);
            continue;
        }
        assert_int_equal(got.outcome, NM_NEAREST_FOUND);
        nm_assert_close(&got.distance, &best, 1, 1e-8, 1e-9);
        assert_true(nm_polytope_excess(&w->piece[got.piece], w->n, z) < 1e-11 * (1 + best));
        n_other += got.piece > 0;
    }
    assert_true(n_other > 50);
}

static void ties_are_reported(void **state)
{
    world *w = *state;
    const double left[] = {1}, right[] = {-1}, one[] = {-1}, near_[] = {-0.5}, zero[] = {0};
    nm_polytope pieces[2] = {{1, left, one}, {1, right, one}}; /* y <= -1, y >= 1 */
    nm_union u = {2, pieces};
    double z;
    nm_nearest got;
    nm_err err = {0};

    nm_assert_ok(nm_project_union(w->ctx, &u, 1, zero, &z, &got, &err), &err);
    assert_false(got.unique);
    assert_int_equal(got.piece, 0);
    nm_assert_close(&got.runner_up, &(double){1}, 1, 0, 1e-12);
    nm_assert_close(&z, &(double){-1}, 1, 0, 1e-12);
    pieces[1].d = near_;
    nm_assert_ok(nm_project_union(w->ctx, &u, 1, zero, &z, &got, &err), &err);
    assert_true(got.unique);
    assert_int_equal(got.piece, 1);
    pieces[1] = pieces[0]; /* the same point twice is one point */
    nm_assert_ok(nm_project_union(w->ctx, &u, 1, zero, &z, &got, &err), &err);
    assert_true(got.unique);
}

static void rows_without_variables_are_checked(void **state)
{
    world *w = *state;
    const double c[] = {0, 0}, no[] = {-1}, yes[] = {1}, y[] = {3, 4};
    nm_polytope p = {1, c, no};
    double z[2];
    nm_nearest got;
    nm_err err = {0};

    nm_assert_ok(nm_project_polytope(w->ctx, &p, 2, y, z, &got, &err), &err);
    assert_int_equal(got.outcome, NM_NEAREST_EMPTY);
    p.d = yes;
    nm_assert_ok(nm_project_polytope(w->ctx, &p, 2, y, z, &got, &err), &err);
    assert_int_equal(got.outcome, NM_NEAREST_FOUND);
    nm_assert_close(z, y, 2, 0, 0);
}

static int setup(void **state)
{
    static world w;
    nm_err err = {0};

    nm_assert_ok(nm_ctx_new(&w.ctx, &err), &err);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    nm_ctx_free(((world *)*state)->ctx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(polytopes_agree_with_enumeration),
        cmocka_unit_test(unions_take_the_nearest_piece),
        cmocka_unit_test(ties_are_reported),
        cmocka_unit_test(rows_without_variables_are_checked),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
