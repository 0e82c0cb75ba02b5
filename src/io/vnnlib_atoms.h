/* Comparisons of VNN-LIB text as atoms: sides of boxes, or rows on the outputs. */
#ifndef NM_IO_VNNLIB_ATOMS_H
#define NM_IO_VNNLIB_ATOMS_H

#include "io/vnnlib_lex.h"
#include "spec/property.h"

typedef enum nm_atom_kind {
    NM_ATOM_AT_LEAST, /* input >= bound */
    NM_ATOM_AT_MOST,  /* input <= bound */
    NM_ATOM_ROW,      /* a row on the outputs */
    NM_ATOM_NEVER     /* constants that do not compare as they should */
} nm_atom_kind;

typedef struct nm_atom {
    nm_atom_kind kind;
    int32_t which;  /* input or row */
    double out, in; /* the bound, outward and inward */
} nm_atom;

/** Variables that were declared: X_i and Y_i, each without gaps in the end. */
typedef struct nm_declared {
    int64_t n, highest;    /* of this letter; highest = -1: none */
    unsigned char *is_set; /* [room] */
    size_t room;
} nm_declared;

/** What the text has said so far. */
typedef struct nm_vnnlib {
    nm_lexer lexer;
    nm_token token; /* the one to be looked at */
    size_t n_bytes; /* of the text */
    nm_declared x, y;
    nm_atom *atoms;
    int32_t n_atoms, room_atoms;
    nm_out_row *rows;
    int32_t n_rows, room_rows;
    nm_arena *arena;          /* of the property; holds the rows' terms */
    struct nm_linear *linear; /* scratch of one comparison */
} nm_vnnlib;

/** Moves on to the next token. */
nm_status nm_vnnlib_next(nm_vnnlib *v);

/** Takes an opening or closing parenthesis; `what` names what it belongs to. */
nm_status nm_vnnlib_open(nm_vnnlib *v, const char *what);
nm_status nm_vnnlib_close(nm_vnnlib *v, const char *what);

/** X_12 or Y_3. @return false if the token is no such name or the number too large */
bool nm_vnnlib_variable(const nm_vnnlib *v, const nm_token *token, char *letter, int64_t *index);

/** Reads what follows "(<=" or "(>=" up to and with the closing parenthesis, as one atom.
 *  @param op    the operator's token
 *  @param atom  out: its number; -1 when it is always true */
nm_status nm_vnnlib_comparison(nm_vnnlib *v, const nm_token *op, int32_t *atom);

void nm_vnnlib_free_linear(nm_vnnlib *v);

#endif
