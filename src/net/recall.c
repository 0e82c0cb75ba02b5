#include "net/recall.h"

#include <string.h>
#include <sys/random.h>

#include "base/mem.h"
#include "base/rng.h"
#include "net/difference.h"

/* Points on a page; how many the budget is to last for. */
enum { PAGE = 1024, EXPECTED = 16384, STREAMS = 4 };
/* Multiplications per input number from which recalling costs less than evaluating. */
static const double WORTH = 16;

static void clear(nm_recall *r)
{
    for (int64_t i = 0; i < r->n_pages; i++)
        nm_free(r->pages[i]);
    nm_free(r->pages);
    nm_free(r->prints);
    nm_free(r->have);
    nm_free(r->table);
    nm_free(r->keys);
    nm_net_free(r->net);
    *r = (nm_recall){.most_bytes = r->most_bytes};
}

static void end(void *object)
{
    clear(object);
    nm_free(object);
}

/* -- which values are kept --------------------------------------------------------------------- */

/* Operators >= op read it, an earlier one (or the input) makes it. */
static bool is_live(const nm_net *net, int value, int op)
{
    if (net->values[value].constant || net->values[value].producer >= op)
        return false;
    for (int k = op; k < net->n_ops; k++)
        for (int i = 0; i < net->ops[k].n_in; i++)
            if (net->ops[k].in[i] == value)
                return true;
    return false;
}

/* Numbers from which evaluation goes on at an operator. */
static int64_t live_size(const nm_net *net, int op)
{
    int64_t sum = 0;

    for (int v = 0; v < net->n_values; v++)
        sum += is_live(net, v, op) ? net->values[v].size : 0;
    return sum;
}

/* The operator up to `last`, behind `first`, in front of which the fewest numbers live. */
static int narrowest(const nm_net *net, int first, int last)
{
    int64_t least = live_size(net, last);
    int best = last;

    for (int op = last - 1; op > first; op--) {
        int64_t size = live_size(net, op);

        if (size < least) {
            least = size;
            best = op;
        }
    }
    return best;
}

static bool is_kept(const nm_recall *r, int value)
{
    for (int i = 0; i < r->n_kept; i++)
        if (r->kept[i] == value)
            return true;
    return false;
}

/* Keeps what lives in front of an operator. @return false if there is no room for it */
static bool keep_live(nm_recall *r, int op, int64_t most)
{
    const nm_net *net = r->net;
    int64_t row = r->row;
    int n = r->n_kept;

    for (int v = 0; v < net->n_values; v++)
        if (v != net->input && is_live(net, v, op) && !is_kept(r, v)) {
            row += net->values[v].size;
            n++;
        }
    if (n > NM_RECALL_MOST || row > most)
        return false;
    for (int v = 0; v < net->n_values; v++)
        if (v != net->input && is_live(net, v, op) && !is_kept(r, v)) {
            r->offset[r->n_kept] = r->row;
            r->row += net->values[v].size;
            r->kept[r->n_kept++] = v;
        }
    return true;
}

static void choose_kept(nm_recall *r)
{
    const nm_net *net = r->net;
    int64_t most = (int64_t)(r->most_bytes / sizeof(float)) / EXPECTED;

    r->kept[0] = net->scores;
    r->n_kept = 1;
    r->row = net->values[net->scores].size;
    for (int i = net->n_layers - 1; i >= 0; i--) {
        int op = net->layers[i].op, before = i > 0 ? net->layers[i - 1].op : -1;

        if (!keep_live(r, narrowest(net, before, op), most))
            break;
    }
}

/* -- opening ----------------------------------------------------------------------------------- */

static nm_status draw_keys(nm_recall *r, nm_err *err)
{
    size_t n = STREAMS * (size_t)(r->net->values[r->net->input].size + 1);
    nm_rng rng = {0};
    nm_status rc = nm_alloc(&r->keys, n, sizeof *r->keys, err);

    if (rc != NM_OK)
        return rc;
    (void)getrandom(&rng.seed, sizeof rng.seed, GRND_NONBLOCK); /* else: public keys */
    (void)getrandom(&rng.stream, sizeof rng.stream, GRND_NONBLOCK);
    for (size_t i = 0; i < n; i++)
        r->keys[i] = nm_rng_u64(&rng);
    return NM_OK;
}

static nm_status open_for(nm_recall *r, const nm_net *net, nm_err *err)
{
    nm_status rc = NM_OK;

    clear(r);
    NM_TRY(nm_net_clone(net, &r->net, err));
    NM_TRY(draw_keys(r, err));
    choose_kept(r);
done:
    if (rc != NM_OK)
        clear(r);
    return rc;
}

static bool same_structure(const nm_net *a, const nm_net *b)
{
    return nm_first_difference(a, b) > 0 ||
           (a->n_ops == b->n_ops && a->n_values == b->n_values && a->input == b->input &&
            a->values[a->input].size == b->values[b->input].size);
}

static bool pays(const nm_net *net)
{
    return net->scores != net->input && net->n_ops > 0 &&
           nm_net_work(net) >= WORTH * (double)net->values[net->input].size;
}

nm_recall *nm_recall_for(const nm_ctx *ctx, const nm_net *net, int *n_same)
{
    nm_recall *r = nm_ctx_kept(ctx);
    size_t most = nm_ctx_recall(ctx);
    nm_err ignored = {0};

    *n_same = 0;
    if (most == 0 || !pays(net))
        return NULL;
    if (!r) {
        if (nm_alloc(&r, 1, sizeof *r, &ignored) != NM_OK)
            return NULL;
        nm_ctx_keep(ctx, r, end);
    }
    r->most_bytes = most;
    if ((!r->net || !same_structure(r->net, net)) && open_for(r, net, &ignored) != NM_OK)
        return NULL;
    *n_same = nm_first_difference(r->net, net);
    return *n_same > 0 ? r : NULL;
}

/* -- points ------------------------------------------------------------------------------------ */

nm_print nm_recall_print(const nm_recall *r, const float *x)
{
    int64_t n = r->net->values[r->net->input].size;
    const uint64_t *k = r->keys;
    uint64_t h[STREAMS];

    for (int s = 0; s < STREAMS; s++)
        h[s] = k[s];
    for (int64_t i = 0; i < n; i++) {
        uint32_t word;

        memcpy(&word, x + i, sizeof word);
        k += STREAMS;
        for (int s = 0; s < STREAMS; s++)
            h[s] += k[s] * word;
    }
    return (nm_print){.a = (h[0] & 0xffffffff00000000U) | h[1] >> 32,
                      .b = (h[2] & 0xffffffff00000000U) | h[3] >> 32};
}

/* Slot of the table where a point is, or belongs. */
static int64_t slot_of(const nm_recall *r, nm_print print)
{
    int64_t mask = r->n_slots - 1, slot = (int64_t)(print.a & (uint64_t)mask);

    while (r->table[slot] >= 0) {
        const nm_print *there = &r->prints[r->table[slot]];

        if (there->a == print.a && there->b == print.b)
            break;
        slot = (slot + 1) & mask;
    }
    return slot;
}

int64_t nm_recall_find(const nm_recall *r, nm_print print)
{
    return r->n_slots > 0 ? r->table[slot_of(r, print)] : -1;
}

/* Twice as many slots as there will be points. */
static bool grow_table(nm_recall *r, int64_t room)
{
    int64_t n_slots = 2 * PAGE, *table = NULL;
    nm_err ignored = {0};

    while (n_slots < 2 * room)
        n_slots *= 2;
    if (nm_alloc(&table, (size_t)n_slots, sizeof *table, &ignored) != NM_OK)
        return false;
    nm_free(r->table);
    r->table = table;
    r->n_slots = n_slots;
    for (int64_t i = 0; i < n_slots; i++)
        table[i] = -1;
    for (int64_t p = 0; p < r->n_points; p++)
        table[slot_of(r, r->prints[p])] = p;
    return true;
}

/* One more page, if the budget allows; without it, what is known stays. */
static bool add_page(nm_recall *r)
{
    size_t each =
        (size_t)r->row * sizeof(float) + sizeof(nm_print) + sizeof(uint64_t) + 4 * sizeof(int64_t);
    size_t n = (size_t)r->n_pages + 1, room = n * PAGE;
    nm_err ignored = {0};
    float *page = NULL;

    if (room * each > r->most_bytes ||
        nm_realloc(&r->pages, n, sizeof *r->pages, &ignored) != NM_OK ||
        nm_realloc(&r->prints, room, sizeof *r->prints, &ignored) != NM_OK ||
        nm_realloc(&r->have, room, sizeof *r->have, &ignored) != NM_OK ||
        !grow_table(r, (int64_t)room) ||
        nm_alloc(&page, PAGE, (size_t)r->row * sizeof *page, &ignored) != NM_OK)
        return false;
    r->pages[r->n_pages++] = page;
    r->room = (int64_t)room;
    return true;
}

int64_t nm_recall_add(nm_recall *r, nm_print print)
{
    int64_t found = nm_recall_find(r, print);

    if (found >= 0 || (r->n_points == r->room && !add_page(r)))
        return found;
    r->prints[r->n_points] = print;
    r->have[r->n_points] = 0;
    r->table[slot_of(r, print)] = r->n_points;
    return r->n_points++;
}

float *nm_recall_at(const nm_recall *r, int64_t point, int i)
{
    return r->pages[point / PAGE] + point % PAGE * r->row + r->offset[i];
}
