/* Smallest hitting sets against trying all subsets. */
#include "support.h"

#include <string.h>

#include "base/rng.h"
#include "solve/hitting.h"

enum { N = 12, MAX_SETS = 16 };

struct instance {
    int64_t start[MAX_SETS + 1], member[MAX_SETS * N];
    unsigned mask[MAX_SETS];
    nm_family family;
};

static void make_instance(uint64_t seed, struct instance *in)
{
    nm_rng rng = {.seed = seed};
    int64_t n_sets = 1 + (int64_t)(nm_rng_uniform(&rng) * MAX_SETS), at = 0;

    for (int64_t i = 0; i < n_sets; i++) {
        int64_t size = 1 + (int64_t)(nm_rng_uniform(&rng) * 4);

        in->start[i] = at;
        in->mask[i] = 0;
        for (int64_t k = 0; k < size; k++)
            in->mask[i] |= 1U << (unsigned)(nm_rng_uniform(&rng) * N);
        for (int e = 0; e < N; e++)
            if (in->mask[i] >> e & 1U)
                in->member[at++] = e;
    }
    in->start[n_sets] = at;
    in->family =
        (nm_family){.n_elements = N, .n_sets = n_sets, .start = in->start, .member = in->member};
}

static int count_bits(unsigned v)
{
    int n = 0;

    for (; v; v &= v - 1)
        n++;
    return n;
}

static bool meets_all(const struct instance *in, unsigned subset)
{
    for (int64_t i = 0; i < in->family.n_sets; i++)
        if (!(in->mask[i] & subset))
            return false;
    return true;
}

static int smallest_by_brute_force(const struct instance *in)
{
    int smallest = N;

    for (unsigned subset = 0; subset < 1U << N; subset++)
        if (count_bits(subset) < smallest && meets_all(in, subset))
            smallest = count_bits(subset);
    return smallest;
}

static unsigned as_mask(const bool *hit)
{
    unsigned mask = 0;

    for (int e = 0; e < N; e++)
        mask |= hit[e] ? 1U << e : 0;
    return mask;
}

static void no_smaller_set_meets_all(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct instance in;
        nm_err err = {0};
        bool hit[N];
        int64_t least;
        int smallest;

        make_instance(seed, &in);
        nm_assert_ok(nm_hitting_set(&in.family, INT64_MAX / 2, hit, &least, &err), &err);
        smallest = smallest_by_brute_force(&in);
        assert_true(meets_all(&in, as_mask(hit)));
        if (count_bits(as_mask(hit)) != smallest || least != smallest)
            fail_msg("seed %d: %d elements, bound %d, expected %d", (int)seed,
                     count_bits(as_mask(hit)), (int)least, smallest);
    }
}

static void without_work_the_bound_still_holds(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct instance in;
        nm_err err = {0};
        bool hit[N];
        int64_t least;
        int smallest;

        make_instance(seed, &in);
        nm_assert_ok(nm_hitting_set(&in.family, 0, hit, &least, &err), &err);
        smallest = smallest_by_brute_force(&in);
        assert_true(meets_all(&in, as_mask(hit)));
        assert_true(least <= smallest && smallest <= count_bits(as_mask(hit)));
    }
}

static void no_sets_need_nothing(void **state)
{
    const int64_t start[] = {0, 0};
    nm_family none = {.n_elements = 3, .n_sets = 0, .start = start};
    nm_family empty = {.n_elements = 3, .n_sets = 1, .start = start};
    bool hit[3];
    int64_t least;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_hitting_set(&none, 1000, hit, &least, &err), &err);
    assert_int_equal(least, 0);
    assert_false(hit[0] || hit[1] || hit[2]);
    nm_assert_ok(nm_hitting_set(&empty, 1000, hit, &least, &err), &err);
    assert_int_equal(least, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_smaller_set_meets_all),
                                       cmocka_unit_test(without_work_the_bound_still_holds),
                                       cmocka_unit_test(no_sets_need_nothing)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
