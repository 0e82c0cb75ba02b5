#include "support.h"

#include <math.h>

#include "net/cross_entropy.h"

static void cross_entropy_is_minus_the_log_of_the_softmax(void **state)
{
    const double scores[] = {0.3, -1.2, 2.0};
    double sum = exp(0.3) + exp(-1.2) + exp(2.0);

    (void)state;
    for (int64_t label = 0; label < 3; label++) {
        double gradient[3], got = nm_cross_entropy(scores, 3, label, gradient);
        double want = -log(exp(scores[label]) / sum);

        nm_assert_close(&got, &want, 1, 1e-14, 0.0);
        for (int64_t i = 0; i < 3; i++) {
            double slope = exp(scores[i]) / sum - (i == label ? 1.0 : 0.0);

            nm_assert_close(&gradient[i], &slope, 1, 1e-14, 1e-16);
        }
    }
}

static void large_scores_do_not_overflow(void **state)
{
    double scores[] = {1e300, -1e300, 0.0};

    (void)state;
    assert_true(nm_cross_entropy(scores, 3, 0, NULL) == 0.0);
    assert_true(nm_cross_entropy(scores, 3, 2, NULL) == 1e300);
    assert_true(nm_cross_entropy(scores, 3, 1, scores) == 2e300); /* the gradient in place */
    assert_true(scores[0] == 1.0 && scores[1] == -1.0 && scores[2] == 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cross_entropy_is_minus_the_log_of_the_softmax),
        cmocka_unit_test(large_scores_do_not_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
