#include "runtime.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

struct bench_runtime {
    pid_t child;
    FILE *to, *from;
};

static void become_node(int in, int out, const char *model, int64_t n)
{
    char count[32];

    (void)snprintf(count, sizeof count, "%lld", (long long)n);
    if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
        _exit(1);
    (void)execlp("node", "node", NM_BENCH_DIR "/onnxruntime.js", model, count, (char *)NULL);
    _exit(1);
}

bench_runtime *bench_runtime_open(const char *model, int64_t n)
{
    bench_runtime *r = bench_alloc(1, sizeof *r);
    int to[2], from[2];
    double ready;

    (void)signal(SIGPIPE, SIG_IGN);
    if (pipe(to) != 0 || pipe(from) != 0 || (r->child = fork()) < 0) {
        perror("bench");
        exit(1);
    }
    if (r->child == 0) {
        (void)close(to[1]);
        (void)close(from[0]);
        become_node(to[0], from[1], model, n);
    }
    (void)close(to[0]);
    (void)close(from[1]);
    r->to = fdopen(to[1], "w");
    r->from = fdopen(from[0], "r");
    if (r->to && r->from && fscanf(r->from, "%lf", &ready) == 1)
        return r;
    (void)printf("skipped: no node with onnxruntime-node (bench/README.md tells how to get it)\n");
    bench_runtime_close(r);
    return NULL;
}

double bench_runtime_run(bench_runtime *r)
{
    double seconds;

    if (fputs("go\n", r->to) < 0 || fflush(r->to) != 0 || fscanf(r->from, "%lf", &seconds) != 1) {
        (void)fprintf(stderr, "bench: ONNX Runtime stopped\n");
        exit(1);
    }
    return seconds;
}

void bench_runtime_close(bench_runtime *r)
{
    (void)fclose(r->to);
    (void)fclose(r->from);
    (void)waitpid(r->child, NULL, 0);
    free(r);
}
