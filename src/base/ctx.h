/* Inside view of the context: logging, progress, and the question whether to stop. */
#ifndef NM_BASE_CTX_H
#define NM_BASE_CTX_H

#include "base/err.h"

void nm_log(const nm_ctx *ctx, nm_log_level level, const char *fmt, ...) NM_PRINTF(3, 4);
void nm_progress(const nm_ctx *ctx, const char *what, int64_t done, int64_t total, double value);

/** NM_OK while work may go on; NM_E_CANCELLED or NM_E_LIMIT (recorded in err) otherwise.
 *  Cheap enough for every few milliseconds of work. */
nm_status nm_ctx_check(const nm_ctx *ctx, nm_err *err);

/** True when nm_ctx_check() would fail. */
bool nm_ctx_must_stop(const nm_ctx *ctx);

/** While granted, work goes on in spite of the time limit or an interrupt: to bring home what was
 *  found. Short work only. */
void nm_ctx_grant(nm_ctx *ctx, bool granted);

/** Something that a layer above keeps between calls, ended with the context or by the next one; one
 *  at a time. */
void nm_ctx_keep(const nm_ctx *ctx, void *object, void (*end)(void *object));
void *nm_ctx_kept(const nm_ctx *ctx);

/** What nm_ctx_set_recall() allows. */
size_t nm_ctx_recall(const nm_ctx *ctx);

/** Monotonic wall clock, seconds. */
double nm_now(void);

#endif
