#include "child.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void set_limit(int which, double value)
{
    struct rlimit limit;

    if (!(value < INFINITY))
        return;
    limit.rlim_cur = limit.rlim_max = (rlim_t)value;
    if (setrlimit((__rlimit_resource_t)which, &limit) != 0)
        die("setrlimit");
}

/* Bytes of address space that this process has. */
static double address_space(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long pages = 0;

    if (!file || fscanf(file, "%ld", &pages) != 1)
        die("/proc/self/statm");
    (void)fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void write_all(int file, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t count = write(file, bytes, n);

        if (count <= 0)
            _exit(1);
        bytes += count;
        n -= (size_t)count;
    }
}

static size_t read_all(int file, char *bytes, size_t n)
{
    size_t done = 0;
    ssize_t count;

    while (done < n && (count = read(file, bytes + done, n - done)) > 0)
        done += (size_t)count;
    return done;
}

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + 1e-6 * (double)t.tv_usec;
}

bench_end bench_in_child(void (*work)(const void *argument, void *out), const void *argument,
                         void *out, size_t size, double limit_s, double memory_mb, bench_cost *cost)
{
    double start = bench_now();
    struct rusage used;
    int ends[2], status;

    (void)fflush(NULL);
    if (pipe(ends) != 0)
        die("pipe");
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child == 0) {
        set_limit(RLIMIT_CPU, ceil(limit_s));
        set_limit(RLIMIT_AS, address_space() + 1048576 * memory_mb);
        (void)close(ends[0]);
        work(argument, out);
        write_all(ends[1], out, size);
        _exit(0);
    }
    (void)close(ends[1]);
    size_t got = read_all(ends[0], out, size);
    (void)close(ends[0]);
    if (wait4(child, &status, 0, &used) < 0)
        die("wait4");
    *cost = (bench_cost){.seconds = seconds_of(used.ru_utime) + seconds_of(used.ru_stime),
                         .wall = bench_now() - start,
                         .peak_mb = (double)used.ru_maxrss / 1024};
    if (got == size)
        return BENCH_DONE;
    bool by_clock =
        WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL);
    return by_clock && cost->seconds >= 0.9 * limit_s ? BENCH_OUT_OF_TIME : BENCH_OUT_OF_MEMORY;
}
