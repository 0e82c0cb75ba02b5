/* Rooms in memory and in the file hold what was written, through rests and from several threads. */
#include "support.h"

#include <stdint.h>
#include <sys/resource.h>

#include "base/store.h"

static void fill(unsigned char *room, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        room[i] = (unsigned char)(seed + 31 * i);
}

static bool holds(const unsigned char *room, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        if (room[i] != (unsigned char)(seed + 31 * i))
            return false;
    return true;
}

static void rooms_keep_what_they_hold(void **state)
{
    enum { ROOMS = 12, BYTES = 5000 };
    unsigned char *room[ROOMS];
    bool held[ROOMS] = {false};
    nm_store *store;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_store_open(3 * BYTES, &store, &err), &err);
#pragma omp parallel for num_threads(2)
    for (unsigned r = 0; r < ROOMS; r++) {
        room[r] = nm_store_take(store, BYTES);
        if (room[r]) {
            fill(room[r], BYTES, r);
            nm_store_rest(store, room[r]);
        }
    }
    assert_true(nm_store_in_file(store) >= 9 * BYTES); /* three fit into memory */
    for (int round = 0; round < 2; round++)
        for (unsigned r = 0; r < ROOMS; r++) {
            held[r] = room[r] && holds(room[r], BYTES, r);
            nm_store_rest(store, room[r]);
            assert_true(held[r]);
        }
    nm_store_close(store);
}

static void without_a_file_there_is_memory_only(void **state)
{
    nm_store *store;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_store_open(100, &store, &err), &err);
    assert_non_null(nm_store_take(store, 60));
    assert_null(nm_store_take(store, SIZE_MAX / 4)); /* nor any disk */
    assert_non_null(nm_store_take(store, 40));
    assert_int_equal(nm_store_in_file(store), 0);
    nm_store_close(store);
    nm_store_close(NULL);
}

/* Beyond `ulimit -f` a signal would end the process. */
static void files_stay_within_the_limit_of_the_process(void **state)
{
    enum { LIMIT = 1 << 20 };
    struct rlimit before, less;
    nm_store *store;
    nm_err err = {0};

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    less = before;
    less.rlim_cur = LIMIT;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &less), 0);
    nm_assert_ok(nm_store_open(0, &store, &err), &err);
    assert_non_null(nm_store_take(store, LIMIT / 2));
    assert_null(nm_store_take(store, LIMIT));
    assert_in_range(nm_store_in_file(store), LIMIT / 2, LIMIT);
    nm_store_close(store);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rooms_keep_what_they_hold),
        cmocka_unit_test(without_a_file_there_is_memory_only),
        cmocka_unit_test(files_stay_within_the_limit_of_the_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
