#include "solve/hitting.h"

#include <string.h>

#include "base/mem.h"

typedef struct hitting {
    nm_family family;
    int64_t work, max_work;
    bool *chosen, *banned; /* [n_elements] on the present path */
    bool *used;            /* [n_elements] by the packing */
    bool *best;            /* [n_elements] */
    int64_t n_chosen, n_best;
} hitting;

static int64_t size_of(const nm_family *f, int64_t set)
{
    return f->start[set + 1] - f->start[set];
}

static bool is_met(const hitting *h, int64_t set)
{
    for (int64_t i = h->family.start[set]; i < h->family.start[set + 1]; i++)
        if (h->chosen[h->family.member[i]])
            return true;
    return false;
}

/* Members that may still be chosen. */
static int64_t count_open(const hitting *h, int64_t set)
{
    int64_t n = 0;

    for (int64_t i = h->family.start[set]; i < h->family.start[set + 1]; i++)
        n += !h->banned[h->family.member[i]];
    return n;
}

/* The set that is not met and leaves the fewest choices; -1 if all are met. */
static int64_t narrowest(const hitting *h, int64_t *open)
{
    int64_t found = -1;

    for (int64_t set = 0; set < h->family.n_sets; set++) {
        int64_t n;

        if (size_of(&h->family, set) == 0 || is_met(h, set))
            continue;
        n = count_open(h, set);
        if (found < 0 || n < *open) {
            found = set;
            *open = n;
        }
    }
    return found;
}

/* Claims the open members of a set for the packing. @return false if one is taken already */
static bool pack(hitting *h, int64_t set)
{
    const nm_family *f = &h->family;

    for (int64_t i = f->start[set]; i < f->start[set + 1]; i++)
        if (!h->banned[f->member[i]] && h->used[f->member[i]])
            return false;
    for (int64_t i = f->start[set]; i < f->start[set + 1]; i++)
        h->used[f->member[i]] = true;
    return true;
}

/* Disjoint sets that are not met each need an element of their own; small sets first. */
static int64_t packing(hitting *h)
{
    int64_t count = 0, largest = 0;

    memset(h->used, 0, (size_t)h->family.n_elements * sizeof *h->used);
    for (int64_t set = 0; set < h->family.n_sets; set++)
        if (size_of(&h->family, set) > largest)
            largest = size_of(&h->family, set);
    for (int64_t size = 1, next; size <= largest; size = next) {
        next = largest + 1;
        for (int64_t set = 0; set < h->family.n_sets; set++) {
            int64_t own = size_of(&h->family, set);

            if (own > size && own < next)
                next = own;
            if (own == size && !is_met(h, set))
                count += pack(h, set);
        }
    }
    return count;
}

static int64_t count_unmet_with(const hitting *h, int64_t element)
{
    const nm_family *f = &h->family;
    int64_t n = 0;

    for (int64_t set = 0; set < f->n_sets; set++) {
        bool holds = false;

        for (int64_t i = f->start[set]; i < f->start[set + 1] && !holds; i++)
            holds = f->member[i] == element;
        n += holds && !is_met(h, set);
    }
    return n;
}

/* Of the open members of a set the one that meets most; the first of equals. -1 if none is open. */
static int64_t most_wanted(const hitting *h, int64_t set)
{
    const nm_family *f = &h->family;
    int64_t found = -1, most = -1;

    for (int64_t i = f->start[set]; i < f->start[set + 1]; i++) {
        int64_t element = f->member[i], n;

        if (h->banned[element])
            continue;
        n = count_unmet_with(h, element);
        if (n > most) {
            most = n;
            found = element;
        }
    }
    return found;
}

static bool is_spent(hitting *h)
{
    return h->work > h->max_work;
}

static void branch(hitting *h)
{
    const nm_family *f = &h->family;
    int64_t open = 0, set, element, tried = 0, *order = NULL;

    h->work += 4 * f->start[f->n_sets] + f->n_sets + 1;
    set = narrowest(h, &open);
    if (set < 0) {
        h->n_best = h->n_chosen;
        memcpy(h->best, h->chosen, (size_t)f->n_elements * sizeof *h->best);
        return;
    }
    if (h->n_chosen + packing(h) >= h->n_best || open == 0)
        return;
    if (nm_alloc(&order, (size_t)open, sizeof *order, NULL) != NM_OK) {
        h->work = h->max_work + 1; /* as if the time for it were over */
        return;
    }
    while (!is_spent(h) && (element = most_wanted(h, set)) >= 0) {
        h->work += open * f->start[f->n_sets];
        h->chosen[element] = true;
        h->n_chosen++;
        branch(h);
        h->n_chosen--;
        h->chosen[element] = false;
        h->banned[element] = true; /* the rest of the branches do without it */
        order[tried++] = element;
    }
    while (tried > 0)
        h->banned[order[--tried]] = false;
    nm_free(order);
}

/* A first set, so that there is one however little work is allowed. */
static void choose_greedily(hitting *h)
{
    int64_t open = 0, set;

    while ((set = narrowest(h, &open)) >= 0) {
        h->chosen[most_wanted(h, set)] = true;
        h->n_chosen++;
    }
    memcpy(h->best, h->chosen, (size_t)h->family.n_elements * sizeof *h->best);
    h->n_best = h->n_chosen;
    memset(h->chosen, 0, (size_t)h->family.n_elements * sizeof *h->chosen);
    h->n_chosen = 0;
}

nm_status nm_hitting_set(const nm_family *family, int64_t max_work, bool *hit, int64_t *least,
                         nm_err *err)
{
    hitting h = {.family = *family, .max_work = max_work, .best = hit};
    size_t n = (size_t)family->n_elements;
    int64_t bound;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&h.chosen, n, sizeof *h.chosen, err));
    NM_TRY(nm_alloc(&h.banned, n, sizeof *h.banned, err));
    NM_TRY(nm_alloc(&h.used, n, sizeof *h.used, err));
    choose_greedily(&h);
    bound = packing(&h);
    if (bound < h.n_best)
        branch(&h);
    *least = is_spent(&h) ? bound : h.n_best;
done:
    nm_free(h.chosen);
    nm_free(h.banned);
    nm_free(h.used);
    return rc;
}
