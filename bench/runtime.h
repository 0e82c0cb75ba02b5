/* ONNX Runtime in a child process (node), evaluating a network on demand. */
#ifndef NM_BENCH_RUNTIME_H
#define NM_BENCH_RUNTIME_H

#include <stdint.h>

typedef struct bench_runtime bench_runtime;

/** Loads a network for batches of n points on one thread.
 *  @return NULL, with a message on standard output, where node or onnxruntime-node is absent */
bench_runtime *bench_runtime_open(const char *model, int64_t n);

/** Evaluates one batch; returns the seconds it took in there. */
double bench_runtime_run(bench_runtime *runtime);
void bench_runtime_close(bench_runtime *runtime);

#endif
