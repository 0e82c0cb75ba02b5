#include "workers.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_WORKERS = 256, USUAL_TRIES = 2 };

/* What goes before each message. */
struct head {
    int64_t piece;
    int32_t status; /* nm_status of the worker */
    uint32_t n_text;
};

struct worker {
    pid_t pid; /* 0: none */
    int socket;
    int64_t piece; /* -1: idle */
};

struct pool {
    nm_cli *cli;
    const nm_workers *spec;
    const int64_t *todo;
    int64_t n, next, n_answered;
    int64_t again[MAX_WORKERS]; /* pieces whose process died */
    int n_again;
    unsigned char *tries; /* [n] by place in todo */
    struct worker worker[MAX_WORKERS];
    char *text;
};

/* -- messages ---------------------------------------------------------------------------------- */

static bool send_all(int socket, const void *data, size_t n)
{
    const char *at = data;

    while (n > 0) {
        ssize_t sent = send(socket, at, n, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        at += sent;
        n -= (size_t)sent;
    }
    return true;
}

static bool receive_all(int socket, void *data, size_t n)
{
    char *at = data;

    while (n > 0) {
        ssize_t got = recv(socket, at, n, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got;
        n -= (size_t)got;
    }
    return true;
}

/* -- in the worker ------------------------------------------------------------------------------
 */

static void serve(const struct pool *pool, int socket)
{
    char *text = calloc(pool->spec->answer_text, 1);
    int64_t piece;

    while (text && receive_all(socket, &piece, sizeof piece)) {
        nm_err err = {0};
        struct head head = {.piece = piece};

        text[0] = '\0';
        head.status =
            (int32_t)pool->spec->work(pool->spec->user, piece, text, pool->spec->answer_text, &err);
        if (head.status != NM_OK)
            (void)snprintf(text, pool->spec->answer_text, "%s", err.text);
        head.n_text = (uint32_t)strlen(text) + 1;
        if (!send_all(socket, &head, sizeof head) || !send_all(socket, text, head.n_text))
            break;
    }
    free(text);
}

/* -- in the parent ------------------------------------------------------------------------------
 */

static void close_others(const struct pool *pool)
{
    for (int w = 0; w < pool->spec->n; w++)
        if (pool->worker[w].pid)
            (void)close(pool->worker[w].socket);
}

static nm_status start_worker(struct pool *pool, struct worker *worker, nm_err *err)
{
    int pair[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        return nm_cli_fail(err, NM_E_IO, "cannot start a worker: %s", strerror(errno));
    (void)fflush(NULL);
    pid = fork();
    if (pid < 0) {
        (void)close(pair[0]);
        (void)close(pair[1]);
        return nm_cli_fail(err, NM_E_IO, "cannot start a worker: %s", strerror(errno));
    }
    if (pid == 0) {
        (void)close(pair[0]);
        close_others(pool);
        serve(pool, pair[1]);
        _exit(0);
    }
    (void)close(pair[1]);
    *worker = (struct worker){.pid = pid, .socket = pair[0], .piece = -1};
    return NM_OK;
}

static int64_t place_of(const struct pool *pool, int64_t piece)
{
    int64_t i = 0;

    while (pool->todo[i] != piece)
        i++;
    return i;
}

static int64_t next_piece(struct pool *pool)
{
    if (pool->n_again > 0)
        return pool->again[--pool->n_again];
    return pool->next < pool->n ? pool->todo[pool->next++] : -1;
}

/* Work for every idle worker; workers that are missing are started as long as there is any. */
static nm_status hand_out(struct pool *pool, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int w = 0; rc == NM_OK && w < pool->spec->n; w++) {
        struct worker *worker = &pool->worker[w];

        if (worker->pid && worker->piece >= 0)
            continue;
        if (pool->n_again == 0 && pool->next >= pool->n)
            break;
        if (!worker->pid)
            rc = start_worker(pool, worker, err);
        if (rc != NM_OK)
            break;
        worker->piece = next_piece(pool);
        pool->tries[place_of(pool, worker->piece)]++;
        (void)send_all(worker->socket, &worker->piece, sizeof worker->piece);
    }
    return rc;
}

static nm_status bury(struct pool *pool, struct worker *worker, nm_err *err)
{
    int64_t piece = worker->piece;

    (void)close(worker->socket);
    (void)waitpid(worker->pid, NULL, 0);
    *worker = (struct worker){.piece = -1};
    if (piece < 0)
        return NM_OK;
    if (pool->tries[place_of(pool, piece)] <
        (pool->spec->tries ? pool->spec->tries : USUAL_TRIES)) {
        pool->again[pool->n_again++] = piece;
        return NM_OK;
    }
    pool->n_answered++;
    return pool->spec->answer(pool->spec->user, piece, NULL, err);
}

static nm_status take_answer(struct pool *pool, struct worker *worker, nm_err *err)
{
    struct head head;

    if (!receive_all(worker->socket, &head, sizeof head) || head.n_text > pool->spec->answer_text ||
        head.n_text == 0 || !receive_all(worker->socket, pool->text, head.n_text))
        return bury(pool, worker, err);
    pool->text[head.n_text - 1] = '\0';
    worker->piece = -1;
    pool->n_answered++;
    if (head.status != NM_OK)
        return nm_cli_fail(err, (nm_status)head.status, "%s", pool->text);
    return pool->spec->answer(pool->spec->user, head.piece, pool->text, err);
}

static nm_status listen_once(struct pool *pool, nm_err *err)
{
    struct pollfd polled[MAX_WORKERS];
    int which[MAX_WORKERS], n = 0;
    nm_status rc = NM_OK;

    for (int w = 0; w < pool->spec->n; w++)
        if (pool->worker[w].pid) {
            polled[n] = (struct pollfd){.fd = pool->worker[w].socket, .events = POLLIN};
            which[n++] = w;
        }
    if (poll(polled, (nfds_t)n, 100) <= 0)
        return NM_OK;
    for (int i = 0; rc == NM_OK && i < n; i++)
        if (polled[i].revents)
            rc = take_answer(pool, &pool->worker[which[i]], err);
    return rc;
}

static void dismiss(struct pool *pool, bool now)
{
    for (int w = 0; w < pool->spec->n; w++) {
        struct worker *worker = &pool->worker[w];

        if (!worker->pid)
            continue;
        (void)close(worker->socket);
        if (now)
            (void)kill(worker->pid, SIGKILL); /* has no files of its own */
        (void)waitpid(worker->pid, NULL, 0);
    }
}

nm_status nm_workers_run(nm_cli *cli, const nm_workers *spec, const int64_t *todo, int64_t n,
                         nm_err *err)
{
    struct pool *pool = NULL;
    nm_status rc = NM_OK;

    if (spec->n < 1 || spec->n > MAX_WORKERS)
        return nm_cli_fail(err, NM_E_ARG, "%d worker processes, expected 1 to %d", spec->n,
                           MAX_WORKERS);
    NM_CLI_TRY(nm_cli_alloc(&pool, 1, sizeof *pool, err));
    pool->cli = cli;
    pool->spec = spec;
    pool->todo = todo;
    pool->n = n;
    NM_CLI_TRY(nm_cli_alloc(&pool->tries, n, 1, err));
    NM_CLI_TRY(nm_cli_alloc(&pool->text, (int64_t)spec->answer_text, 1, err));
    while (rc == NM_OK && pool->n_answered < n) {
        if (nm_ctx_cancelled(cli->ctx))
            rc = nm_cli_fail(err, NM_E_CANCELLED, "interrupted");
        if (rc == NM_OK)
            rc = hand_out(pool, err);
        if (rc == NM_OK)
            rc = listen_once(pool, err);
    }
    dismiss(pool, rc != NM_OK);
done:
    if (pool) {
        free(pool->tries);
        free(pool->text);
    }
    free(pool);
    return rc;
}
