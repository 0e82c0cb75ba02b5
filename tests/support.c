#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N_SLOTS = 4, MAX_TEMP = 64 };

static char *next_slot(void)
{
    static char slots[N_SLOTS][1024];
    static int turn;

    return slots[turn++ % N_SLOTS];
}

static void assert_one_close(double got, double want, size_t i, double rtol, double atol)
{
    if (!(fabs(got - want) <= atol + rtol * fabs(want)))
        fail_msg("[%zu] got %.17g, want %.17g (rtol %g, atol %g)", i, got, want, rtol, atol);
}

void nm_assert_close(const double *got, const double *want, size_t n, double rtol, double atol)
{
    for (size_t i = 0; i < n; i++)
        assert_one_close(got[i], want[i], i, rtol, atol);
}

void nm_assert_close_f32(const float *got, const float *want, size_t n, double rtol, double atol)
{
    for (size_t i = 0; i < n; i++)
        assert_one_close((double)got[i], (double)want[i], i, rtol, atol);
}

const char *nm_shared(const char *relative)
{
    char *path = next_slot();

    (void)snprintf(path, 1024, "%s/data/%s", NM_SHARED_DIR, relative);
    if (access(path, R_OK) != 0) {
        print_message("skipped: %s is not there\n", relative);
        skip();
    }
    return path;
}

const char *nm_test_file(const char *relative)
{
    char *path = next_slot();

    (void)snprintf(path, 1024, "%s/%s", NM_TEST_DIR, relative);
    return path;
}

static char temp_paths[MAX_TEMP][128];
static int n_temp;

static void remove_temp_files(void)
{
    for (int i = 0; i < n_temp; i++)
        (void)unlink(temp_paths[i]);
}

const char *nm_temp_path(const char *suffix)
{
    char *path = temp_paths[n_temp % MAX_TEMP];

    if (n_temp == 0)
        (void)atexit(remove_temp_files);
    (void)snprintf(path, 128, "/tmp/nm-test-%ld-%d%s", (long)getpid(), n_temp, suffix);
    if (n_temp < MAX_TEMP)
        n_temp++;
    return path;
}
