#include "support.h"

#include <math.h>

#include "report/axis.h"

static void assert_ticks(double lo, double hi, int wanted, const char *first, const char *second,
                         const char *last)
{
    const nm_ticks ticks = nm_ticks_for(lo, hi, wanted);
    char text[64];

    assert_string_equal(nm_tick_text(&ticks, ticks.first, text, sizeof text), first);
    assert_string_equal(nm_tick_text(&ticks, ticks.first + 1, text, sizeof text), second);
    assert_string_equal(nm_tick_text(&ticks, ticks.last, text, sizeof text), last);
}

static void ticks_stand_at_round_numbers(void **state)
{
    (void)state;
    assert_ticks(-1.3, 2.6, 7,
                 "\xe2\x88\x92"
                 "1.0",
                 "\xe2\x88\x92"
                 "0.5",
                 "2.5");
    assert_ticks(0.0, 1.0, 5, "0", "0.2", "1.0");
    assert_ticks(99.0, 1001.0, 5, "200", "400", "1000");
    assert_ticks(0.011, 0.019, 4, "0.012", "0.014", "0.018");
    assert_ticks(-3e20, 4e20, 7,
                 "\xe2\x88\x92"
                 "3e20",
                 "\xe2\x88\x92"
                 "2e20",
                 "4e20");
    assert_ticks(1e-9, 9e-9, 4, "2e-9", "4e-9", "8e-9");
}

static void ticks_lie_inside_and_are_about_as_many_as_wanted(void **state)
{
    (void)state;
    for (double width = 1e-12; width < 1e12; width *= 1.7)
        for (double lo = -2.5 * width; lo < 3.0 * width; lo += 0.77 * width) {
            const nm_ticks ticks = nm_ticks_for(lo, lo + width, 6);
            double slack = 1e-6 * width;

            assert_in_range(ticks.last - ticks.first + 1, 3, 10);
            assert_true(nm_tick_value(&ticks, ticks.first) >= lo - slack);
            assert_true(nm_tick_value(&ticks, ticks.last) <= lo + width + slack);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks_stand_at_round_numbers),
        cmocka_unit_test(ticks_lie_inside_and_are_about_as_many_as_wanted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
