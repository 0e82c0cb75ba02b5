#include "base/ctx.h"

#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

enum { RECALL_BYTES = 384 << 20 };

struct kept {
    void *object;
    void (*end)(void *object);
};

struct nm_ctx {
    int n_threads;
    nm_log_fn log;
    void *log_user;
    nm_progress_fn progress;
    void *progress_user;
    double deadline;
    atomic_bool cancelled;
    bool granted;
    size_t recall;
    struct kept *kept; /* not part of what a const context promises */
};

nm_status nm_ctx_new(nm_ctx **out, nm_err *err)
{
    nm_status rc = nm_alloc(out, 1, sizeof **out, err);

    if (rc != NM_OK)
        return rc;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    (*out)->n_threads = cores > 0 && cores < 1024 ? (int)cores : 1;
    (*out)->deadline = INFINITY;
    atomic_init(&(*out)->cancelled, false);
    (*out)->recall = RECALL_BYTES;
    rc = nm_alloc(&(*out)->kept, 1, sizeof *(*out)->kept, err);
    if (rc != NM_OK) {
        nm_free(*out);
        *out = NULL;
    }
    return rc;
}

void nm_ctx_free(nm_ctx *ctx)
{
    if (!ctx)
        return;
    nm_ctx_keep(ctx, NULL, NULL);
    nm_free(ctx->kept);
    nm_free(ctx);
}

void nm_ctx_set_threads(nm_ctx *ctx, int n_threads)
{
    ctx->n_threads = n_threads >= 1 ? n_threads : 1;
}

int nm_ctx_threads(const nm_ctx *ctx)
{
    return ctx->n_threads;
}

void nm_ctx_set_log(nm_ctx *ctx, nm_log_fn fn, void *user)
{
    ctx->log = fn;
    ctx->log_user = user;
}

void nm_ctx_set_progress(nm_ctx *ctx, nm_progress_fn fn, void *user)
{
    ctx->progress = fn;
    ctx->progress_user = user;
}

void nm_ctx_set_time_limit(nm_ctx *ctx, double seconds)
{
    ctx->deadline = nm_now() + seconds;
}

void nm_ctx_keep(const nm_ctx *ctx, void *object, void (*end)(void *object))
{
    if (ctx->kept->end)
        ctx->kept->end(ctx->kept->object);
    *ctx->kept = (struct kept){object, end};
}

void *nm_ctx_kept(const nm_ctx *ctx)
{
    return ctx->kept->object;
}

void nm_ctx_set_recall(nm_ctx *ctx, size_t bytes)
{
    nm_ctx_keep(ctx, NULL, NULL);
    ctx->recall = bytes;
}

size_t nm_ctx_recall(const nm_ctx *ctx)
{
    return ctx->recall;
}

void nm_ctx_cancel(nm_ctx *ctx)
{
    atomic_store(&ctx->cancelled, true);
}

bool nm_ctx_cancelled(const nm_ctx *ctx)
{
    return atomic_load_explicit(&ctx->cancelled, memory_order_relaxed);
}

void nm_ctx_grant(nm_ctx *ctx, bool granted)
{
    ctx->granted = granted;
}

bool nm_ctx_must_stop(const nm_ctx *ctx)
{
    if (ctx->granted)
        return false;
    return nm_ctx_cancelled(ctx) || nm_now() > ctx->deadline;
}

nm_status nm_ctx_check(const nm_ctx *ctx, nm_err *err)
{
    if (ctx->granted)
        return NM_OK;
    if (nm_ctx_cancelled(ctx))
        return nm_fail(err, NM_E_CANCELLED, "interrupted");
    if (nm_now() > ctx->deadline)
        return nm_fail(err, NM_E_LIMIT, "time limit reached");
    return NM_OK;
}

void nm_log(const nm_ctx *ctx, nm_log_level level, const char *fmt, ...)
{
    char line[512];
    va_list args;

    if (!ctx->log)
        return;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    ctx->log(ctx->log_user, level, line);
}

void nm_progress(const nm_ctx *ctx, const char *what, int64_t done, int64_t total, double value)
{
    if (ctx->progress)
        ctx->progress(ctx->progress_user, what, done, total, value);
}

double nm_now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
