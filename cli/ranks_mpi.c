/* Rank 0 hands out, the others work. Messages are few and small, so that waiting is sleeping and
 * looking: MPI's own waiting would keep a core busy. */
#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ranks.h"

enum { TAG_PIECE = 1, TAG_ANSWER, MOST_TRIES = 2, NO_MORE = -1 };

typedef enum message_kind {
    IS_READY,  /* wants a piece */
    IS_ANSWER, /* of a piece; wants the next */
    IS_LOST,   /* the process of the piece died; wants the next */
    IS_GONE    /* the rank ends, or cannot work */
} message_kind;

struct message {
    int64_t piece;
    int32_t kind;   /* message_kind */
    int32_t status; /* nm_status, of IS_ANSWER and IS_GONE */
    char text[];
};

static struct {
    int n, rank;
    pid_t pid;      /* of the process that joined; forked ones must not speak */
    bool dismissed; /* rank 0: the others were told to end. Others: rank 0 told them */
} self = {.n = 1};

static void sleep_shortly(void)
{
    const struct timespec pause = {.tv_nsec = 2000000};

    (void)nanosleep(&pause, NULL);
}

/* -- joining and leaving ------------------------------------------------------------------------
 */

static void dismiss_all(void)
{
    int64_t no_more = NO_MORE;

    for (int rank = 1; rank < self.n && !self.dismissed; rank++)
        (void)MPI_Send(&no_more, sizeof no_more, MPI_BYTE, rank, TAG_PIECE, MPI_COMM_WORLD);
    self.dismissed = true;
}

static void tell(const struct message *message, size_t n_text)
{
    (void)MPI_Send(message, (int)(sizeof *message + n_text), MPI_BYTE, 0, TAG_ANSWER,
                   MPI_COMM_WORLD);
}

static void leave(void)
{
    if (getpid() != self.pid)
        return;
    if (self.rank == 0)
        dismiss_all();
    else if (!self.dismissed)
        tell(&(struct message){.piece = NO_MORE, .kind = IS_GONE, .status = NM_E_INTERNAL}, 0);
    (void)MPI_Finalize();
}

/* What Open MPI, MPICH and their like (and Slurm) tell the processes they start. */
static bool has_launcher(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (getenv(names[i]))
            return true;
    return false;
}

nm_status nm_ranks_open(nm_err *err)
{
    int provided;

    if (!has_launcher() || self.pid)
        return NM_OK;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS)
        return nm_cli_fail(err, NM_E_IO, "cannot join the other processes (MPI_Init failed)");
    (void)MPI_Comm_size(MPI_COMM_WORLD, &self.n);
    (void)MPI_Comm_rank(MPI_COMM_WORLD, &self.rank);
    self.pid = getpid();
    (void)atexit(leave);
    if (self.rank > 0 && (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr)))
        return nm_cli_fail(err, NM_E_IO, "/dev/null: cannot write");
    return NM_OK;
}

int nm_ranks_n(void)
{
    return self.n;
}

/* -- ranks above 0 --------------------------------------------------------------------------------
 */

struct server {
    nm_cli *cli;
    const nm_workers *spec; /* the caller's */
    nm_workers one;         /* the same, a process a piece */
    struct message *message;
};

static nm_status take_answer(void *user, int64_t i, const char *text, nm_err *err)
{
    struct server *s = user;

    (void)i;
    (void)err;
    s->message->kind = text ? IS_ANSWER : IS_LOST;
    (void)snprintf(s->message->text, s->one.answer_text, "%s", text ? text : "");
    return NM_OK;
}

static nm_status work(void *user, int64_t i, char *text, size_t n_text, nm_err *err)
{
    const struct server *s = user;

    return s->spec->work(s->spec->user, i, text, n_text, err);
}

static void do_piece(struct server *s, int64_t piece)
{
    nm_err err = {0};
    nm_status rc = nm_workers_run(s->cli, &s->one, &piece, 1, &err);

    s->message->piece = piece;
    s->message->status = (int32_t)rc;
    if (rc != NM_OK) {
        s->message->kind = IS_ANSWER;
        (void)snprintf(s->message->text, s->one.answer_text, "%s", err.text);
    }
}

static int64_t next_piece(const struct server *s)
{
    int64_t piece;
    int there = 0;

    while (!there) {
        if (nm_ctx_cancelled(s->cli->ctx))
            return NO_MORE;
        (void)MPI_Iprobe(0, TAG_PIECE, MPI_COMM_WORLD, &there, MPI_STATUS_IGNORE);
        if (!there)
            sleep_shortly();
    }
    (void)MPI_Recv(&piece, sizeof piece, MPI_BYTE, 0, TAG_PIECE, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    self.dismissed = piece == NO_MORE;
    return piece;
}

static nm_status serve(nm_cli *cli, const nm_workers *workers, nm_ranks_load_fn load, nm_err *err)
{
    struct server s = {.cli = cli, .spec = workers, .one = *workers};
    nm_status rc = NM_OK;

    s.one.n = s.one.tries = 1;
    s.one.work = work;
    s.one.answer = take_answer;
    s.one.user = &s;
    NM_CLI_TRY(nm_cli_alloc(&s.message, 1, sizeof *s.message + workers->answer_text, err));
    rc = load(workers->user, err);
    *s.message = (struct message){
        .piece = NO_MORE, .kind = rc == NM_OK ? IS_READY : IS_GONE, .status = (int32_t)rc};
    if (rc != NM_OK)
        (void)snprintf(s.message->text, workers->answer_text, "rank %d: %s", self.rank, err->text);
    for (;;) {
        int64_t piece;

        tell(s.message, strlen(s.message->text) + 1);
        piece = next_piece(&s);
        if (piece == NO_MORE)
            break;
        do_piece(&s, piece);
    }
done:
    free(s.message);
    return rc;
}

/* -- rank 0 ---------------------------------------------------------------------------------------
 */

struct hands {
    nm_cli *cli;
    const nm_workers *spec;
    const int64_t *todo;
    int64_t n, n_answered;
    unsigned char *tries; /* [n] */
    unsigned char *state; /* [n] 0 open, 1 given away, 2 answered */
    int *last;            /* [n] rank that lost it last, 0 = none */
    int64_t *at;          /* [ranks] place of the piece that a rank works on, -1 none */
    bool *idle, *gone;    /* [ranks] */
    nm_err gone_err;      /* why the last rank went */
    struct message *message;
};

static int n_there(const struct hands *h)
{
    int n = 0;

    for (int rank = 1; rank < self.n; rank++)
        n += !h->gone[rank];
    return n;
}

/* The first open piece; one that this rank has lost only if no other rank is there. */
static int64_t open_piece(const struct hands *h, int rank)
{
    for (int64_t i = 0; i < h->n; i++)
        if (h->state[i] == 0 && (h->last[i] != rank || n_there(h) == 1))
            return i;
    return -1;
}

static void hand_out(struct hands *h)
{
    for (int rank = 1; rank < self.n; rank++) {
        int64_t at = h->idle[rank] ? open_piece(h, rank) : -1;

        if (at < 0)
            continue;
        h->idle[rank] = false;
        h->at[rank] = at;
        h->state[at] = 1;
        h->tries[at]++;
        (void)MPI_Send(&h->todo[at], sizeof *h->todo, MPI_BYTE, rank, TAG_PIECE, MPI_COMM_WORLD);
    }
}

/* To be done again, or given up. */
static nm_status lose(struct hands *h, int rank, nm_err *err)
{
    int64_t at = h->at[rank];

    if (at < 0)
        return NM_OK;
    h->at[rank] = -1;
    h->last[at] = rank;
    h->state[at] = h->tries[at] < MOST_TRIES ? 0 : 2;
    if (h->state[at] == 0)
        return NM_OK;
    h->n_answered++;
    return h->spec->answer(h->spec->user, h->todo[at], NULL, err);
}

static nm_status keep_answer(struct hands *h, int rank, nm_err *err)
{
    const struct message *m = h->message;
    int64_t at = h->at[rank];

    if (m->status != NM_OK)
        return nm_cli_fail(err, (nm_status)m->status, "rank %d: %s", rank, m->text);
    h->at[rank] = -1;
    h->state[at] = 2;
    h->n_answered++;
    return h->spec->answer(h->spec->user, h->todo[at], m->text, err);
}

static nm_status take(struct hands *h, int rank, nm_err *err)
{
    const struct message *m = h->message;

    h->idle[rank] = m->kind != IS_GONE;
    h->gone[rank] = m->kind == IS_GONE;
    if (m->kind == IS_ANSWER)
        return keep_answer(h, rank, err);
    if (m->kind == IS_GONE) {
        h->gone_err = (nm_err){0};
        (void)nm_cli_fail(&h->gone_err, (nm_status)m->status, "%s", m->text);
    }
    return lose(h, rank, err);
}

static nm_status listen_once(struct hands *h, nm_err *err)
{
    MPI_Status from;
    int there = 0, n = 0;

    (void)MPI_Iprobe(MPI_ANY_SOURCE, TAG_ANSWER, MPI_COMM_WORLD, &there, &from);
    if (!there) {
        sleep_shortly();
        return NM_OK;
    }
    (void)MPI_Get_count(&from, MPI_BYTE, &n);
    if (n < (int)sizeof *h->message || (size_t)n > sizeof *h->message + h->spec->answer_text)
        return nm_cli_fail(err, NM_E_INTERNAL, "rank %d sent %d bytes", from.MPI_SOURCE, n);
    h->message->text[0] = '\0';
    (void)MPI_Recv(h->message, n, MPI_BYTE, from.MPI_SOURCE, TAG_ANSWER, MPI_COMM_WORLD,
                   MPI_STATUS_IGNORE);
    return take(h, from.MPI_SOURCE, err);
}

static nm_status open_hands(struct hands *h, nm_err *err)
{
    nm_status rc = NM_OK;

    NM_CLI_TRY(nm_cli_alloc(&h->tries, h->n, 1, err));
    NM_CLI_TRY(nm_cli_alloc(&h->state, h->n, 1, err));
    NM_CLI_TRY(nm_cli_alloc(&h->last, h->n, sizeof *h->last, err));
    NM_CLI_TRY(nm_cli_alloc(&h->at, self.n, sizeof *h->at, err));
    NM_CLI_TRY(nm_cli_alloc(&h->idle, self.n, sizeof *h->idle, err));
    NM_CLI_TRY(nm_cli_alloc(&h->gone, self.n, sizeof *h->gone, err));
    NM_CLI_TRY(nm_cli_alloc(&h->message, 1, sizeof *h->message + h->spec->answer_text + 1, err));
    for (int rank = 0; rank < self.n; rank++)
        h->at[rank] = -1;
done:
    return rc;
}

static void close_hands(struct hands *h)
{
    free(h->tries);
    free(h->state);
    free(h->last);
    free(h->at);
    free(h->idle);
    free(h->gone);
    free(h->message);
}

static nm_status lead(struct hands *h, nm_err *err)
{
    nm_status rc = open_hands(h, err);

    while (rc == NM_OK && h->n_answered < h->n) {
        if (nm_ctx_cancelled(h->cli->ctx))
            rc = nm_cli_fail(err, NM_E_CANCELLED, "interrupted");
        else if (n_there(h) == 0)
            rc = nm_cli_fail(err, h->gone_err.code ? h->gone_err.code : NM_E_IO, "%s",
                             h->gone_err.text[0] ? h->gone_err.text : "no rank is left to work");
        if (rc == NM_OK)
            hand_out(h);
        if (rc == NM_OK)
            rc = listen_once(h, err);
    }
    dismiss_all();
    close_hands(h);
    return rc;
}

nm_status nm_ranks_run(nm_cli *cli, const nm_workers *workers, nm_ranks_load_fn load,
                       const int64_t *todo, int64_t n, nm_err *err)
{
    struct hands hands = {.cli = cli, .spec = workers, .todo = todo, .n = n};

    if (self.n == 1)
        return nm_workers_run(cli, workers, todo, n, err);
    if (self.rank == 0)
        return lead(&hands, err);
    (void)serve(cli, workers, load, err);
    exit(NM_EXIT_DONE);
}
