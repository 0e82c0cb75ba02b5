#include "support.h"

#include <math.h>

#include "train/adam.h"

static void constant_gradient_moves_by_the_learning_rate_each_step(void **state)
{
    const double gradient[] = {1e-3, -40.0};
    double theta[] = {0.0, 1.0};
    nm_adam adam;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_adam_init(&adam, 2, 0.01, &err), &err);
    for (int i = 0; i < 5; i++)
        nm_adam_step(&adam, theta, gradient);
    nm_assert_close(theta, (const double[]){-0.05, 1.05}, 2, 2e-5, 0.0); /* epsilon: 1e-8 of 1e-3 */
    nm_adam_clear(&adam);
}

/* Algorithm 1 by hand, two steps: m1 = 0.2, v1 = 0.004, m2 = 0.08, v2 = 0.004996;
   mhat2 = 0.08 / 0.19, vhat2 = 0.004996 / 0.001999. */
static void two_steps_follow_the_published_algorithm(void **state)
{
    const double want =
        -0.1 * 2.0 / (2.0 + 1e-8) - 0.1 * (0.08 / 0.19) / (sqrt(0.004996 / 0.001999) + 1e-8);
    double theta = 0.0;
    nm_adam adam;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_adam_init(&adam, 1, 0.1, &err), &err);
    nm_adam_step(&adam, &theta, (const double[]){2.0});
    nm_adam_step(&adam, &theta, (const double[]){-1.0});
    nm_assert_close(&theta, &want, 1, 1e-12, 0.0);
    nm_adam_clear(&adam);
}

static void parameter_without_gradient_stays(void **state)
{
    double theta = 3.5;
    nm_adam adam;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_adam_init(&adam, 1, 0.1, &err), &err);
    nm_adam_step(&adam, &theta, (const double[]){0.0});
    assert_true(theta == 3.5);
    nm_adam_clear(&adam);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_gradient_moves_by_the_learning_rate_each_step),
        cmocka_unit_test(two_steps_follow_the_published_algorithm),
        cmocka_unit_test(parameter_without_gradient_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
