#include "instances.h"

#include <sys/wait.h>

static const char *const norm_names[] = {"linf+l1n", "linf", "l1", "l2"};

static void dump_values(FILE *file, const double *values, int64_t n, double otherwise)
{
    for (int64_t i = 0; i < n; i++)
        (void)fprintf(file, "%.17g\n", values ? values[i] : otherwise);
}

static void dump(const char *path, const instance *it, const answer *got)
{
    const nm_master_spec *s = &it->spec;
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    (void)fprintf(file, "%s %d %d %d %.17g %s %.17g\n", norm_names[s->norm], (int)s->n, (int)it->m,
                  (int)s->n_terms, s->l1_weight,
                  got->outcome == NM_MASTER_SOLVED ? "solved" : "infeasible", got->objective);
    dump_values(file, s->lo, s->n, -INFINITY);
    dump_values(file, s->hi, s->n, INFINITY);
    dump_values(file, it->a, it->m * s->n, 0);
    dump_values(file, it->h, it->m, 0);
    dump_values(file, s->terms, s->n_terms * s->n, 0);
    dump_values(file, s->offset, s->n_terms, 0);
    assert_int_equal(fclose(file), 0);
}

/* Every norm: plain, in a box, with terms, and one program in too narrow a box. */
static void scipy_finds_the_same_optima(void **state)
{
    char command[8192];
    size_t used = (size_t)snprintf(command, sizeof command, "/usr/bin/python3 %s",
                                   nm_test_file("oracle/solve_oracle.py"));

    (void)state;
    for (int i = 0; i < 4 * N_NORMS; i++) {
        static const double boxes[] = {0, 0.4, 0.5, 0.02};
        nm_norm norm = all_norms[i % N_NORMS];
        int kind = i / N_NORMS;
        instance it =
            random_instance(norm, (shape){4, 12, 6, 3, kind == 2 ? 2 : 0, boxes[kind]}, 77);
        answer got = solve_once(&it, NM_SOLVER_AUTO);
        const char *path = nm_temp_path(".txt");

        assert_int_not_equal(got.outcome, NM_MASTER_FAILED);
        dump(path, &it, &got);
        used += (size_t)snprintf(command + used, sizeof command - used, " %s", path);
        free_answer(&got);
        free_instance(&it);
    }
    assert_true(used < sizeof command);
    int status = system(command);
    if (WIFEXITED(status) && (WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 127)) {
        print_message("skipped: no python3 with scipy\n");
        skip();
    }
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(scipy_finds_the_same_optima)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
