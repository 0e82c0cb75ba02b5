#include "support.h"

#include "base/mt19937.h"

static void words_are_those_of_the_reference_implementation(void **state)
{
    nm_mt19937 mt;
    uint32_t word = 0;

    (void)state;
    nm_mt_seed(&mt, 5489); /* its default seed; the C++ standard fixes the 10000th word, too */
    assert_int_equal(nm_mt_u32(&mt), 3499211612u);
    for (int i = 2; i <= 10000; i++)
        word = nm_mt_u32(&mt);
    assert_int_equal(word, 4123659995u);
}

/* The numbers of the next tests are what numpy 1.24's RandomState gives. */

static void uniform_numbers_are_those_of_numpy(void **state)
{
    static const double want[] = {0x1.7f8771e5f51ecp-2, 0x1.e6c4068bbd654p-1, 0x1.76c7e8f1e6751p-1};
    nm_mt19937 mt;

    (void)state;
    nm_mt_seed(&mt, 42);
    for (size_t i = 0; i < 3; i++)
        assert_true(nm_mt_uniform(&mt) == want[i]);
}

static void normal_numbers_are_those_of_numpy(void **state)
{
    static const double want[] = {0x1.fca2a28a9307cp-2, -0x1.1b2a505de052ap-3, 0x1.4b9dd50245e68p-1,
                                  0x1.85e548e01aa2bp+0};
    nm_mt19937 mt;
    double got[4];

    (void)state;
    nm_mt_seed(&mt, 42);
    for (size_t i = 0; i < 4; i++)
        got[i] = nm_mt_normal(&mt);
    nm_assert_close(got, want, 4, 1e-15, 0.0); /* the logarithm may differ in its last bit */
}

static void permutation_is_that_of_numpy(void **state)
{
    static const int64_t want[] = {2, 9, 6, 4, 0, 3, 1, 7, 8, 5};
    nm_mt19937 mt;
    int64_t got[10];

    (void)state;
    nm_mt_seed(&mt, 1);
    nm_mt_permutation(&mt, got, 10);
    assert_memory_equal(got, want, sizeof want);
}

static void draws_up_to_a_maximum_reach_it_and_nothing_above(void **state)
{
    nm_mt19937 mt;
    int seen[6] = {0};

    (void)state;
    nm_mt_seed(&mt, 7);
    for (int i = 0; i < 1000; i++) {
        uint32_t draw = nm_mt_up_to(&mt, 5);

        assert_true(draw <= 5);
        seen[draw]++;
    }
    for (int i = 0; i < 6; i++)
        assert_in_range(seen[i], 100, 240);
    assert_int_equal(nm_mt_up_to(&mt, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_those_of_the_reference_implementation),
        cmocka_unit_test(uniform_numbers_are_those_of_numpy),
        cmocka_unit_test(normal_numbers_are_those_of_numpy),
        cmocka_unit_test(permutation_is_that_of_numpy),
        cmocka_unit_test(draws_up_to_a_maximum_reach_it_and_nothing_above),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
