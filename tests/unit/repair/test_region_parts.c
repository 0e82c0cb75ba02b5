/* Parts of regions: halves cover what was cut, equal vertices have one number, groups join. */
#include "support.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "repair/region_parts.h"

enum { N_IN = 4, N_VERTICES = 6, N_POINTS = 300 };

static nm_region_parts parts_of(const double *vertex, int64_t n, int64_t n_vertices)
{
    nm_regions regions;
    nm_region_parts parts;
    nm_err err = {0};

    nm_assert_ok(nm_regions_from_vertices(vertex, n, n_vertices, N_IN, &regions, &err), &err);
    nm_assert_ok(nm_region_parts_new(&regions, &parts, &err), &err);
    nm_regions_free(&regions);
    return parts;
}

static nm_region_parts parts_of_box(const double *lo, const double *hi)
{
    nm_regions regions;
    nm_region_parts parts;
    nm_err err = {0};

    nm_assert_ok(nm_regions_from_boxes(lo, hi, 1, N_IN, &regions, &err), &err);
    nm_assert_ok(nm_region_parts_new(&regions, &parts, &err), &err);
    nm_regions_free(&regions);
    return parts;
}

/* Distance of x from the hull: projected gradient steps on the shares of the vertices, by Frank and
   Wolfe with exact line search (slow, and nothing that the code under test does). */
static double distance(const nm_region_part *part, const double *x)
{
    double at[N_IN], gap = 0;

    memcpy(at, part->vertex, sizeof at);
    for (int step = 0; step < 20000; step++) {
        double best = INFINITY, up = 0, down = 0;
        int64_t choice = 0;

        for (int64_t v = 0; v < part->n; v++) {
            double dot = 0;

            for (int i = 0; i < N_IN; i++)
                dot += (at[i] - x[i]) * part->vertex[v * N_IN + i];
            if (dot < best) {
                best = dot;
                choice = v;
            }
        }
        for (int i = 0; i < N_IN; i++) {
            double d = part->vertex[choice * N_IN + i] - at[i];

            up += (x[i] - at[i]) * d;
            down += d * d;
        }
        if (!(up > 1e-14))
            break;
        for (int i = 0; i < N_IN; i++)
            at[i] += fmin(up / down, 1) * (part->vertex[choice * N_IN + i] - at[i]);
    }
    for (int i = 0; i < N_IN; i++)
        gap += (at[i] - x[i]) * (at[i] - x[i]);
    return sqrt(gap);
}

static bool is_covered(const nm_region_parts *parts, const double *x)
{
    for (int64_t p = 0; p < parts->n; p++)
        if (distance(&parts->at[p], x) < 0.05) /* that is how far those steps get */
            return true;
    return false;
}

/* Cut and cut again; points that were inside are still in some part, and parts get smaller. */
static void test_halves_cover(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 6; seed++) {
        nm_rng rng = {.seed = seed};
        double vertex[N_VERTICES * N_IN], x[N_POINTS * N_IN];
        nm_region_parts parts;
        bool cut;
        nm_err err = {0};

        for (int i = 0; i < N_VERTICES * N_IN; i++)
            vertex[i] = nm_rng_normal(&rng);
        parts = parts_of(vertex, 1, N_VERTICES);
        for (int p = 0; p < N_POINTS; p++) {
            double share[N_VERTICES], sum = 0;

            for (int v = 0; v < N_VERTICES; v++)
                sum += share[v] = -log(nm_rng_uniform(&rng) + 1e-12);
            for (int i = 0; i < N_IN; i++) {
                x[p * N_IN + i] = 0;
                for (int v = 0; v < N_VERTICES; v++)
                    x[p * N_IN + i] += share[v] / sum * vertex[v * N_IN + i];
            }
        }
        for (int64_t k = 0; k < 4; k++) {
            nm_assert_ok(nm_region_parts_cut(&parts, k % parts.n, NULL, &cut, &err), &err);
            assert_true(cut);
        }
        assert_int_equal(parts.n, 5);
        for (int p = 0; p < N_POINTS; p++)
            assert_true(is_covered(&parts, x + p * N_IN));
        nm_region_parts_free(&parts);
    }
}

/* Across the widest input, as measured; corners of halves are those of their boxes. */
static void test_boxes(void **state)
{
    const double lo[] = {0, 0, 1, -1}, hi[] = {8, 1, 1, 1}, width[] = {100, 1, 1, 1};
    nm_region_parts parts = parts_of_box(lo, hi);
    bool cut;
    nm_err err = {0};

    (void)state;
    assert_int_equal(parts.at[0].n, 8);
    nm_assert_ok(nm_region_parts_cut(&parts, 0, NULL, &cut, &err), &err);
    assert_true(cut && parts.at[0].hi[0] == 4 && parts.at[1].lo[0] == 4 && parts.at[1].hi[0] == 8);
    nm_assert_ok(nm_region_parts_cut(&parts, 1, width, &cut, &err), &err);
    assert_true(cut && parts.at[1].hi[3] == 0 && parts.at[2].lo[3] == 0);
    for (int64_t p = 0; p < parts.n; p++) {
        const nm_region_part *part = &parts.at[p];

        assert_int_equal(part->n, 8);
        for (int64_t v = 0; v < 8; v++)
            for (int i = 0; i < N_IN; i++) {
                double at = part->vertex[v * N_IN + i];

                assert_true(at == part->lo[i] || at == part->hi[i]);
            }
    }
    nm_assert_ok(nm_region_parts_share(&parts, &err), &err);
    assert_int_equal(parts.n_vertices, 8 + 4 + 4); /* two faces are shared, of 4 corners each, the
                                                      second is cut by an edge */
    nm_region_parts_free(&parts);
}

/* What has no middle is not cut. */
static void test_nothing_to_cut(void **state)
{
    const double point[] = {1, 2, 3, 4};
    const double next[] = {1, 2, 3, 4, 1, 2, 3, nextafter(4, 5)};
    double hi[N_IN];
    nm_region_parts parts = parts_of(point, 1, 1);
    bool cut;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_region_parts_cut(&parts, 0, NULL, &cut, &err), &err);
    assert_false(cut);
    assert_int_equal(parts.n, 1);
    nm_region_parts_free(&parts);
    parts = parts_of(next, 1, 2);
    nm_assert_ok(nm_region_parts_cut(&parts, 0, NULL, &cut, &err), &err);
    assert_false(cut);
    assert_int_equal(parts.n, 1);
    nm_region_parts_free(&parts);
    memcpy(hi, point, sizeof hi);
    hi[2] = nextafter(3, 4);
    parts = parts_of_box(point, hi);
    nm_assert_ok(nm_region_parts_cut(&parts, 0, NULL, &cut, &err), &err);
    assert_false(cut);
    assert_int_equal(parts.n, 1);
    nm_region_parts_free(&parts);
}

static void test_groups(void **state)
{
    double vertex[4 * N_IN], centre[N_IN];
    nm_region_parts parts;

    (void)state;
    for (int i = 0; i < 4 * N_IN; i++)
        vertex[i] = i / N_IN == 3 ? vertex[i % N_IN] : i;
    parts = parts_of(vertex, 4, 1);
    assert_int_equal(parts.n_vertices, 3);
    assert_true(parts.at[0].shared[0] == parts.at[3].shared[0]);
    assert_true(nm_region_parts_join(&parts, 2, 1));
    assert_false(nm_region_parts_join(&parts, 1, 2));
    assert_true(nm_region_parts_join(&parts, 2, 0));
    assert_int_equal(parts.at[1].group, 0);
    assert_int_equal(parts.at[2].group, 0);
    assert_int_equal(parts.at[3].group, 3);
    nm_region_parts_centre(&parts, 0, centre);
    for (int i = 0; i < N_IN; i++)
        assert_true(fabs(centre[i] - (N_IN + i)) < 1e-12);
    nm_region_parts_free(&parts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_halves_cover),
        cmocka_unit_test(test_boxes),
        cmocka_unit_test(test_nothing_to_cut),
        cmocka_unit_test(test_groups),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
