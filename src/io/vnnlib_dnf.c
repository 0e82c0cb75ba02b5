#include "io/vnnlib_dnf.h"

#include <string.h>

#include "base/mem.h"

static nm_status too_large(nm_err *err)
{
    return nm_fail(err, NM_E_UNSUPPORTED,
                   "and and or are nested to more than %d disjuncts or %d comparisons when "
                   "multiplied out",
                   NM_DNF_MOST_CASES, NM_DNF_MOST_ATOMS);
}

/* Room for n more conjunctions. */
static nm_status make_room(nm_dnf *dnf, int64_t n, nm_err *err)
{
    nm_status rc;
    int32_t room = dnf->room > 0 ? dnf->room : 1;

    if (dnf->n + n > NM_DNF_MOST_CASES)
        return too_large(err);
    if (dnf->n + n <= dnf->room)
        return NM_OK;
    while (room < dnf->n + n)
        room *= 2;
    rc = nm_realloc(&dnf->conj, (size_t)room, sizeof *dnf->conj, err);
    if (rc == NM_OK)
        dnf->room = room;
    return rc;
}

static nm_status append(nm_conj *conj, const int32_t *atoms, int32_t n, nm_err *err)
{
    nm_status rc;
    int32_t room = conj->room > 0 ? conj->room : 2;

    if (conj->n + n > conj->room) {
        while (room < conj->n + n)
            room *= 2;
        rc = nm_realloc(&conj->atom, (size_t)room, sizeof *conj->atom, err);
        if (rc != NM_OK)
            return rc;
        conj->room = room;
    }
    if (n > 0)
        memcpy(conj->atom + conj->n, atoms, (size_t)n * sizeof *atoms);
    conj->n += n;
    return NM_OK;
}

nm_status nm_dnf_set_true(nm_dnf *dnf, nm_err *err)
{
    nm_status rc = make_room(dnf, 1, err);

    if (rc == NM_OK)
        dnf->conj[dnf->n++] = (nm_conj){0};
    return rc;
}

nm_status nm_dnf_and_atom(nm_dnf *dnf, int32_t atom, nm_err *err)
{
    nm_status rc = NM_OK;

    if (dnf->n_atoms + dnf->n > NM_DNF_MOST_ATOMS)
        return too_large(err);
    for (int32_t i = 0; i < dnf->n && rc == NM_OK; i++)
        rc = append(&dnf->conj[i], &atom, 1, err);
    dnf->n_atoms += dnf->n;
    return rc;
}

/* The common case: nothing is multiplied out. */
static nm_status and_one(nm_dnf *dnf, const nm_conj *other, nm_err *err)
{
    nm_status rc = NM_OK;

    if (dnf->n_atoms + (int64_t)dnf->n * other->n > NM_DNF_MOST_ATOMS)
        return too_large(err);
    for (int32_t i = 0; i < dnf->n && rc == NM_OK; i++)
        rc = append(&dnf->conj[i], other->atom, other->n, err);
    dnf->n_atoms += (int64_t)dnf->n * other->n;
    return rc;
}

nm_status nm_dnf_and(nm_dnf *dnf, const nm_dnf *other, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_dnf product = {0};
    int64_t n = (int64_t)dnf->n * other->n;
    int64_t n_atoms = dnf->n_atoms * other->n + other->n_atoms * dnf->n;

    if (other->n == 1)
        return and_one(dnf, &other->conj[0], err);
    if (n > NM_DNF_MOST_CASES || n_atoms > NM_DNF_MOST_ATOMS)
        return too_large(err);
    NM_TRY(make_room(&product, n, err));
    for (int32_t i = 0; i < dnf->n; i++)
        for (int32_t j = 0; j < other->n; j++) {
            nm_conj *to = &product.conj[product.n++];

            *to = (nm_conj){0};
            NM_TRY(append(to, dnf->conj[i].atom, dnf->conj[i].n, err));
            NM_TRY(append(to, other->conj[j].atom, other->conj[j].n, err));
        }
    product.n_atoms = n_atoms;
    nm_dnf_free(dnf);
    *dnf = product;
    return NM_OK;
done:
    nm_dnf_free(&product);
    return rc;
}

nm_status nm_dnf_or(nm_dnf *dnf, nm_dnf *other, nm_err *err)
{
    nm_status rc;

    if (dnf->n_atoms + other->n_atoms > NM_DNF_MOST_ATOMS)
        return too_large(err);
    rc = make_room(dnf, other->n, err);
    if (rc != NM_OK)
        return rc;
    if (other->n > 0)
        memcpy(dnf->conj + dnf->n, other->conj, (size_t)other->n * sizeof *other->conj);
    dnf->n += other->n;
    dnf->n_atoms += other->n_atoms;
    nm_free(other->conj);
    *other = (nm_dnf){0};
    return NM_OK;
}

void nm_dnf_free(nm_dnf *dnf)
{
    for (int32_t i = 0; i < dnf->n; i++)
        nm_free(dnf->conj[i].atom);
    nm_free(dnf->conj);
    *dnf = (nm_dnf){0};
}
