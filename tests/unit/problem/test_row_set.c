/* The names of a program's rows: in the order in which they came, each once. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "problem/row_set.h"

enum { N_NAMES = 3 * 2 * 4 * 3 };

/* The i-th of all names; labels and bounds leave `op` at 0, as programs name them. */
static nm_row_id name_of(int i)
{
    static const nm_row_kind kinds[] = {NM_ROW_LABEL, NM_ROW_PIN, NM_ROW_LOWER};

    return (nm_row_id){.kind = kinds[i % 3], .op = i / 3 % 2, .point = i / 6 % 4, .k = i / 24 % 3};
}

static bool equal(const nm_row_id *a, const nm_row_id *b)
{
    return a->kind == b->kind && a->op == b->op && a->point == b->point && a->k == b->k;
}

static void append(nm_row_set *set, const nm_row_id *rows, int64_t n)
{
    nm_err err = {0};

    nm_assert_ok(nm_row_set_append(set, rows, n, &err), &err);
}

static void an_empty_set_has_nothing(void **state)
{
    nm_row_set set = {0};
    nm_row_id row = name_of(0), fresh;

    (void)state;
    assert_false(nm_row_set_has(&set, &row));
    assert_int_equal(nm_row_set_fresh(&set, &row, 0, &fresh), 0);
    append(&set, &row, 0);
    assert_int_equal(set.n, 0);
    nm_row_set_free(&set);
    append(&set, &row, 1); /* a freed set is an empty one */
    assert_true(nm_row_set_has(&set, &row));
    nm_row_set_free(&set);
}

static void each_part_of_a_name_counts(void **state)
{
    nm_row_set set = {0};

    (void)state;
    for (int i = 0; i < N_NAMES; i++) {
        nm_row_id row = name_of(i);

        assert_false(nm_row_set_has(&set, &row));
        append(&set, &row, 1);
        for (int j = 0; j < N_NAMES; j++) {
            nm_row_id other = name_of(j);

            assert_true(nm_row_set_has(&set, &other) == (j <= i));
        }
    }
    nm_row_set_free(&set);
}

static void rows_keep_the_order_in_which_they_came(void **state)
{
    nm_rng rng = {.seed = 5};
    nm_row_set set = {0};
    nm_row_id all[N_NAMES];

    (void)state;
    for (int i = 0; i < N_NAMES; i++)
        all[i] = name_of(i);
    for (int i = N_NAMES - 1; i > 0; i--) {
        int j = (int)nm_rng_below(&rng, (uint64_t)i + 1);
        nm_row_id swap = all[i];

        all[i] = all[j];
        all[j] = swap;
    }
    for (int64_t done = 0, n; done < N_NAMES; done += n) {
        n = 1 + (int64_t)nm_rng_below(&rng, 7);
        n = n < N_NAMES - done ? n : N_NAMES - done;
        append(&set, all + done, n);
    }
    assert_int_equal(set.n, N_NAMES);
    for (int i = 0; i < N_NAMES; i++)
        assert_true(equal(&set.at[i], &all[i]));
    nm_row_set_free(&set);
}

/* Against a list that is searched entry by entry; rows are named several times. */
static void fresh_rows_are_the_new_ones_each_once(void **state)
{
    nm_rng rng = {.seed = 6};
    nm_row_set set = {0};
    bool there[N_NAMES] = {false};

    (void)state;
    for (int round = 0; round < 40; round++) {
        nm_row_id asked[30], fresh[30];
        bool wanted[N_NAMES] = {false};
        int64_t n = (int64_t)nm_rng_below(&rng, 31), n_wanted = 0, n_fresh;

        for (int64_t i = 0; i < n; i++) {
            int which = (int)nm_rng_below(&rng, round < 20 ? 20 : N_NAMES);

            asked[i] = name_of(which);
            n_wanted += !there[which] && !wanted[which];
            wanted[which] = wanted[which] || !there[which];
        }
        n_fresh = nm_row_set_fresh(&set, asked, n, fresh);
        assert_int_equal(n_fresh, n_wanted);
        for (int which = 0; which < N_NAMES; which++) {
            nm_row_id name = name_of(which);
            int64_t times = 0;

            for (int64_t i = 0; i < n_fresh; i++)
                times += equal(&fresh[i], &name);
            assert_int_equal(times, wanted[which]);
            there[which] = there[which] || wanted[which];
        }
        append(&set, fresh, n_fresh);
        assert_int_equal(nm_row_set_fresh(&set, asked, n, fresh), 0);
    }
    nm_row_set_free(&set);
}

static void fresh_rows_may_replace_what_was_asked(void **state)
{
    nm_row_id rows[] = {name_of(3), name_of(1), name_of(3), name_of(2)};
    nm_row_set set = {0};

    (void)state;
    append(&set, (nm_row_id[]){name_of(1)}, 1);
    assert_int_equal(nm_row_set_fresh(&set, rows, 4, rows), 2);
    append(&set, rows, 2);
    for (int i = 0; i < 5; i++) {
        nm_row_id row = name_of(i);

        assert_true(nm_row_set_has(&set, &row) == (i > 0 && i < 4));
    }
    nm_row_set_free(&set);
}

static void a_pin_is_noticed(void **state)
{
    nm_row_set set = {0};

    (void)state;
    append(&set, (nm_row_id[]){{.kind = NM_ROW_LABEL}, {.kind = NM_ROW_UPPER}}, 2);
    assert_false(set.has_pins);
    append(&set, (nm_row_id[]){{.kind = NM_ROW_LABEL, .point = 1}, {.kind = NM_ROW_PIN}}, 2);
    assert_true(set.has_pins);
    append(&set, (nm_row_id[]){{.kind = NM_ROW_LABEL, .point = 2}}, 1);
    assert_true(set.has_pins);
    nm_row_set_free(&set);
}

static void failed_allocations_leave_the_set_as_it_was(void **state)
{
    nm_row_set set = {0};
    nm_row_id rows[4] = {name_of(0), name_of(1), name_of(2), name_of(3)};

    (void)state;
    append(&set, rows, 1);
    for (int i = 1; i <= 2; i++) {
        nm_err err = {0};

        nm_mem_fail_at(i);
        assert_int_equal(nm_row_set_append(&set, rows + 1, 3, &err), NM_E_NOMEM);
        nm_mem_fail_at(0);
        assert_int_equal(set.n, 1);
        assert_true(nm_row_set_has(&set, &rows[0]));
        assert_false(nm_row_set_has(&set, &rows[1]));
    }
    append(&set, rows + 1, 3);
    assert_true(nm_row_set_has(&set, &rows[3]));
    nm_row_set_free(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_set_has_nothing),
        cmocka_unit_test(each_part_of_a_name_counts),
        cmocka_unit_test(rows_keep_the_order_in_which_they_came),
        cmocka_unit_test(fresh_rows_are_the_new_ones_each_once),
        cmocka_unit_test(fresh_rows_may_replace_what_was_asked),
        cmocka_unit_test(a_pin_is_noticed),
        cmocka_unit_test(failed_allocations_leave_the_set_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
