/* Unions of conjunctions of atoms (disjunctive normal form), with a bound on their size. Atoms are
 * numbers that mean something to the caller. */
#ifndef NM_IO_VNNLIB_DNF_H
#define NM_IO_VNNLIB_DNF_H

#include "base/err.h"

enum {
    NM_DNF_MOST_CASES = 1 << 16, /* conjunctions */
    NM_DNF_MOST_ATOMS = 1 << 24  /* atoms of all conjunctions together */
};

/** A conjunction; without atoms it is true. */
typedef struct nm_conj {
    int32_t *atom; /* [n] */
    int32_t n, room;
} nm_conj;

/** A union; without conjunctions it is false. Zeroed = false. Free with nm_dnf_free(). */
typedef struct nm_dnf {
    nm_conj *conj;
    int32_t n, room;
    int64_t n_atoms;
} nm_dnf;

/** dnf := dnf or true, for a dnf that is false. */
nm_status nm_dnf_set_true(nm_dnf *dnf, nm_err *err);

/** dnf := dnf and atom. @return NM_E_UNSUPPORTED when it grows too large; NM_E_NOMEM */
nm_status nm_dnf_and_atom(nm_dnf *dnf, int32_t atom, nm_err *err);

/** dnf := dnf and other. */
nm_status nm_dnf_and(nm_dnf *dnf, const nm_dnf *other, nm_err *err);

/** dnf := dnf or other; `other` becomes false. */
nm_status nm_dnf_or(nm_dnf *dnf, nm_dnf *other, nm_err *err);

/** Frees, leaving false. */
void nm_dnf_free(nm_dnf *dnf);

#endif
