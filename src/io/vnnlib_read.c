#include <string.h>

#include "base/mem.h"
#include "io/vnnlib.h"
#include "io/vnnlib_build.h"

enum { MOST_NESTING = 200 }; /* of and, or in one another */

typedef struct reader {
    nm_vnnlib v;
    nm_conj common; /* atoms that hold whatever is chosen ... */
    nm_dnf all;     /* ... of these */
    bool asserted;
} reader;

/* -- tokens ----------------------------------------------------------------------------------- */

nm_status nm_vnnlib_next(nm_vnnlib *v)
{
    return nm_lex(&v->lexer, &v->token);
}

static nm_status expect(nm_vnnlib *v, nm_token_kind kind, const char *sign, const char *what)
{
    const nm_token *t = &v->token;

    if (t->kind == kind)
        return nm_vnnlib_next(v);
    if (t->kind == NM_TOKEN_END)
        return nm_lex_fail(&v->lexer, t, NM_E_FORMAT, "the file ends where '%s' of %s was expected",
                           sign, what);
    return nm_lex_fail(&v->lexer, t, NM_E_FORMAT, "'%.*s' where '%s' of %s was expected",
                       nm_token_shown(t), t->begin, sign, what);
}

nm_status nm_vnnlib_open(nm_vnnlib *v, const char *what)
{
    return expect(v, NM_TOKEN_OPEN, "(", what);
}

nm_status nm_vnnlib_close(nm_vnnlib *v, const char *what)
{
    return expect(v, NM_TOKEN_CLOSE, ")", what);
}

bool nm_vnnlib_variable(const nm_vnnlib *v, const nm_token *token, char *letter, int64_t *index)
{
    const char *p = token->begin;

    if (token->end - p < 3 || token->end - p > 12 || (*p != 'X' && *p != 'Y') || p[1] != '_')
        return false;
    *letter = *p;
    *index = 0;
    for (p += 2; p < token->end; p++) {
        if (*p < '0' || *p > '9')
            return false;
        *index = 10 * *index + (*p - '0');
    }
    /* Each declaration takes more than 8 bytes: larger numbers leave gaps. */
    return *index <= INT32_MAX && (token->begin[2] != '0' || token->end - token->begin == 3) &&
           (size_t)*index <= v->n_bytes / 8;
}

/* -- declarations ----------------------------------------------------------------------------- */

static nm_status make_room(nm_declared *d, size_t n, nm_err *err)
{
    size_t room = d->room > 0 ? d->room : 64;
    nm_status rc;

    if (n <= d->room)
        return NM_OK;
    while (room < n)
        room *= 2;
    rc = nm_realloc(&d->is_set, room, 1, err);
    if (rc != NM_OK)
        return rc;
    memset(d->is_set + d->room, 0, room - d->room);
    d->room = room;
    return NM_OK;
}

static nm_status declare(nm_vnnlib *v, const nm_token *name)
{
    nm_declared *d;
    char letter;
    int64_t index;
    nm_status rc;

    if (name->kind != NM_TOKEN_WORD || !nm_vnnlib_variable(v, name, &letter, &index))
        return nm_lex_fail(&v->lexer, name, NM_E_FORMAT,
                           "'%.*s' cannot be declared: variables are X_0, X_1, ... for inputs and "
                           "Y_0, Y_1, ... for outputs, without gaps",
                           nm_token_shown(name), name->begin);
    d = letter == 'X' ? &v->x : &v->y;
    rc = make_room(d, (size_t)index + 1, v->lexer.err);
    if (rc != NM_OK)
        return rc;
    if (d->is_set[index])
        return nm_lex_fail(&v->lexer, name, NM_E_FORMAT, "%c_%lld is declared twice", letter,
                           (long long)index);
    d->is_set[index] = 1;
    d->n++;
    if (index > d->highest)
        d->highest = index;
    return NM_OK;
}

/* Behind "(declare-const" or "(declare-fun". */
static nm_status read_declaration(nm_vnnlib *v, bool is_function)
{
    nm_token name = v->token;
    nm_status rc = NM_OK;

    NM_TRY(declare(v, &name));
    NM_TRY(nm_vnnlib_next(v));
    if (is_function) {
        NM_TRY(nm_vnnlib_open(v, "an empty list of parameters"));
        NM_TRY(nm_vnnlib_close(v, "an empty list of parameters"));
    }
    if (!nm_token_is(&v->token, "Real"))
        return nm_lex_fail(&v->lexer, &v->token, NM_E_UNSUPPORTED,
                           "'%.*s' where Real was expected, the only sort that is understood",
                           nm_token_shown(&v->token), v->token.begin);
    NM_TRY(nm_vnnlib_next(v));
    rc = nm_vnnlib_close(v, "a declaration");
done:
    return rc;
}

static nm_status check_gaps(const nm_vnnlib *v, const nm_declared *d, char letter)
{
    if (d->n == 0)
        return nm_lex_fail(&v->lexer, &v->token, NM_E_FORMAT, "no %s %c_0 is declared",
                           letter == 'X' ? "input" : "output", letter);
    for (int64_t i = 0; i <= d->highest; i++)
        if (!d->is_set[i])
            return nm_lex_fail(&v->lexer, &v->token, NM_E_FORMAT,
                               "%c_%lld is declared, %c_%lld is not: there must be no gaps", letter,
                               (long long)d->highest, letter, (long long)i);
    return NM_OK;
}

/* -- formulas --------------------------------------------------------------------------------- */

/* Adds the place to a failure of the lists, which know of none. */
static nm_status placed(const reader *r, nm_status rc)
{
    if (rc == NM_E_UNSUPPORTED)
        nm_err_prefix(r->v.lexer.err, "%lld:%lld: ", (long long)r->v.token.line,
                      (long long)r->v.token.column);
    return rc;
}

/* target := target and atom; what holds in any case is kept apart. */
static nm_status and_atom(reader *r, nm_dnf *target, int32_t atom)
{
    nm_status rc;

    if (atom < 0)
        return NM_OK;
    if (target != &r->all)
        return placed(r, nm_dnf_and_atom(target, atom, r->v.lexer.err));
    if (r->common.n == r->common.room) {
        int32_t room = r->common.room > 0 ? 2 * r->common.room : 64;

        rc = nm_realloc(&r->common.atom, (size_t)room, sizeof *r->common.atom, r->v.lexer.err);
        if (rc != NM_OK)
            return rc;
        r->common.room = room;
    }
    r->common.atom[r->common.n++] = atom;
    return NM_OK;
}

static nm_status and_formula(reader *r, nm_dnf *target, int depth);

/* Behind "(and". */
static nm_status and_all(reader *r, nm_dnf *target, int depth)
{
    nm_status rc = NM_OK;
    int n = 0;

    for (; r->v.token.kind == NM_TOKEN_OPEN || r->v.token.kind == NM_TOKEN_WORD; n++)
        NM_TRY(and_formula(r, target, depth));
    if (n == 0 && r->v.token.kind == NM_TOKEN_CLOSE)
        return nm_lex_fail(&r->v.lexer, &r->v.token, NM_E_FORMAT,
                           "expected something to be and-ed");
    rc = nm_vnnlib_close(&r->v, "an 'and'");
done:
    return rc;
}

/* Behind "(or". */
static nm_status and_one_of(reader *r, nm_dnf *target, int depth)
{
    nm_err *err = r->v.lexer.err;
    nm_dnf choice = {0}, one = {0};
    nm_status rc = NM_OK;

    for (; r->v.token.kind == NM_TOKEN_OPEN || r->v.token.kind == NM_TOKEN_WORD;) {
        NM_TRY(nm_dnf_set_true(&one, err));
        NM_TRY(and_formula(r, &one, depth));
        NM_TRY(placed(r, nm_dnf_or(&choice, &one, err)));
    }
    if (choice.n == 0 && r->v.token.kind == NM_TOKEN_CLOSE)
        NM_TRY(
            nm_lex_fail(&r->v.lexer, &r->v.token, NM_E_FORMAT, "expected something to be or-ed"));
    NM_TRY(placed(r, nm_dnf_and(target, &choice, err)));
    rc = nm_vnnlib_close(&r->v, "an 'or'");
done:
    nm_dnf_free(&choice);
    nm_dnf_free(&one);
    return rc;
}

static nm_status refuse_operator(const nm_vnnlib *v, const nm_token *op)
{
    static const struct {
        const char *word, *instead;
    } known[] = {
        {"<", "strict comparisons are not understood, write '<='"},
        {">", "strict comparisons are not understood, write '>='"},
        {"=", "equality is not understood, write '<=' and '>='"},
        {"not", "negation is not understood, turn the comparison round"},
    };

    if (op->kind == NM_TOKEN_WORD)
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (nm_token_is(op, known[i].word))
                return nm_lex_fail(&v->lexer, op, NM_E_UNSUPPORTED, "'%s': %s", known[i].word,
                                   known[i].instead);
    if (op->kind == NM_TOKEN_END)
        return nm_lex_fail(&v->lexer, op, NM_E_FORMAT,
                           "the file ends where <=, >=, and, or was expected");
    return nm_lex_fail(&v->lexer, op, op->kind == NM_TOKEN_WORD ? NM_E_UNSUPPORTED : NM_E_FORMAT,
                       "'%.*s' where <=, >=, and, or was expected", nm_token_shown(op), op->begin);
}

/* target := target and the formula at the current token. */
static nm_status and_formula(reader *r, nm_dnf *target, int depth)
{
    nm_vnnlib *v = &r->v;
    nm_token op;
    int32_t atom = -1;
    nm_status rc = NM_OK;

    if (depth == MOST_NESTING)
        return nm_lex_fail(&v->lexer, &v->token, NM_E_UNSUPPORTED,
                           "and and or are nested deeper than %d", MOST_NESTING);
    if (nm_token_is(&v->token, "true"))
        return nm_vnnlib_next(v);
    NM_TRY(nm_vnnlib_open(v, "a formula"));
    op = v->token;
    if (nm_token_is(&op, "<=") || nm_token_is(&op, ">=")) {
        NM_TRY(nm_vnnlib_next(v));
        NM_TRY(nm_vnnlib_comparison(v, &op, &atom));
        return and_atom(r, target, atom);
    }
    if (!nm_token_is(&op, "and") && !nm_token_is(&op, "or"))
        return refuse_operator(v, &op);
    NM_TRY(nm_vnnlib_next(v));
    rc = nm_token_is(&op, "and") ? and_all(r, target, depth + 1) : and_one_of(r, target, depth + 1);
done:
    return rc;
}

/* -- commands --------------------------------------------------------------------------------- */

/* The rest of a command that only talks to a solver. */
static nm_status skip_command(nm_vnnlib *v)
{
    nm_status rc = NM_OK;

    for (int64_t depth = 1; depth > 0;) {
        if (v->token.kind == NM_TOKEN_END)
            return nm_vnnlib_close(v, "a command");
        depth += (v->token.kind == NM_TOKEN_OPEN) - (v->token.kind == NM_TOKEN_CLOSE);
        NM_TRY(nm_vnnlib_next(v));
    }
done:
    return rc;
}

static bool is_talk(const nm_token *command)
{
    static const char *const talk[] = {"check-sat", "get-model", "get-value", "get-info",
                                       "exit",      "set-logic", "set-info",  "set-option"};

    for (size_t i = 0; i < sizeof talk / sizeof *talk; i++)
        if (nm_token_is(command, talk[i]))
            return true;
    return false;
}

static nm_status read_command(reader *r)
{
    nm_vnnlib *v = &r->v;
    nm_token command;
    nm_status rc = NM_OK;

    NM_TRY(nm_vnnlib_open(v, "a command"));
    command = v->token;
    NM_TRY(nm_vnnlib_next(v));
    if (nm_token_is(&command, "declare-const") || nm_token_is(&command, "declare-fun"))
        return read_declaration(v, nm_token_is(&command, "declare-fun"));
    if (nm_token_is(&command, "assert")) {
        r->asserted = true;
        NM_TRY(and_formula(r, &r->all, 0));
        return nm_vnnlib_close(v, "an assertion");
    }
    if (is_talk(&command))
        return skip_command(v);
    return nm_lex_fail(&v->lexer, &command,
                       command.kind == NM_TOKEN_WORD ? NM_E_UNSUPPORTED : NM_E_FORMAT,
                       "'%.*s' where declare-const or assert was expected",
                       nm_token_shown(&command), command.begin);
done:
    return rc;
}

static nm_status read_all(reader *r)
{
    nm_vnnlib *v = &r->v;
    nm_status rc = NM_OK;

    NM_TRY(nm_dnf_set_true(&r->all, v->lexer.err));
    NM_TRY(nm_vnnlib_next(v));
    while (v->token.kind != NM_TOKEN_END)
        NM_TRY(read_command(r));
    NM_TRY(check_gaps(v, &v->x, 'X'));
    NM_TRY(check_gaps(v, &v->y, 'Y'));
    if (!r->asserted)
        rc = nm_lex_fail(&v->lexer, &v->token, NM_E_FORMAT, "nothing is asserted");
done:
    return rc;
}

static void reader_free(reader *r)
{
    nm_vnnlib_free_linear(&r->v);
    nm_dnf_free(&r->all);
    nm_free(r->common.atom);
    nm_free(r->v.atoms);
    nm_free(r->v.rows);
    nm_free(r->v.x.is_set);
    nm_free(r->v.y.is_set);
}

nm_status nm_vnnlib_read(const nm_buffer *file, nm_property **out, nm_err *err)
{
    const char *text = (const char *)file->data;
    nm_property *property = NULL;
    reader r = {.v = {.lexer = {.p = text,
                                .end = text + file->n_bytes,
                                .line_start = text,
                                .line = 1,
                                .err = err},
                      .n_bytes = file->n_bytes,
                      .x = {.highest = -1},
                      .y = {.highest = -1}}};
    nm_status rc = NM_OK;

    *out = NULL;
    NM_TRY(nm_alloc(&property, 1, sizeof *property, err));
    r.v.arena = &property->arena;
    NM_TRY(read_all(&r));
    property->n_in = r.v.x.n;
    property->n_out = r.v.y.n;
    rc = nm_vnnlib_build(&r.v, &r.common, &r.all, property, err);
    if (rc != NM_OK && rc != NM_E_NOMEM)
        nm_err_prefix(err, "%lld: ", (long long)r.v.lexer.line);
    NM_TRY(rc);
    *out = property;
    property = NULL;
done:
    nm_property_free(property);
    reader_free(&r);
    return rc;
}
