/* A comparison a <= b (or b >= a) is kept as sum of terms <= limit. Constants are intervals that
 * hold the exact number; they are points where a double holds it. Coefficients have to be exact,
 * because a row whose coefficients are rounded has no safe side: where a decimal coefficient has no
 * double, the row is multiplied by a power of ten that makes all of them whole numbers. */
#include "io/vnnlib_atoms.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/number.h"

enum {
    MOST_DEPTH = 64, /* of + and - in one another */
    MOST_POWER = 15  /* of ten that a row is multiplied by */
};

typedef struct term {
    bool is_output;
    int64_t index;
    nm_decimal coef; /* digits and exponent are used if it is whole */
    bool negative;   /* the term is subtracted */
    double value;    /* the exact coefficient, once known */
} term;

/* sum of terms + constant, the constant within [lo, hi]. */
typedef struct nm_linear {
    term *terms;
    size_t n, room;
    double lo, hi;
} linear;

static const nm_decimal one = {.near = 1, .whole = true, .digits = 1};

/* -- intervals -------------------------------------------------------------------------------- */

/* a + b rounded down: the error of the nearest sum is exact (Knuth, TAOCP 4.2.2, theorem B). */
static double add_down(double a, double b)
{
    double sum = a + b, part = sum - a;
    double rest = (a - (sum - part)) + (b - part);

    return rest < 0 ? nextafter(sum, -INFINITY) : sum;
}

static double multiply_down(double a, double b)
{
    double product = a * b;

    if (a == 0)
        return 0;
    return fma(a, b, -product) < 0 || fabs(product) < 0x1p-900 ? nextafter(product, -INFINITY)
                                                               : product;
}

/* a / b for b > 0. */
static double divide_down(double a, double b)
{
    double quotient = a / b;

    if (a == 0)
        return 0;
    return fma(quotient, b, -a) > 0 || fabs(quotient) < 0x1p-900 ? nextafter(quotient, -INFINITY)
                                                                 : quotient;
}

static void add_constant(linear *sum, double lo, double hi)
{
    sum->lo = add_down(sum->lo, lo);
    sum->hi = -add_down(-sum->hi, -hi);
}

/* -- reading ---------------------------------------------------------------------------------- */

static nm_status add_term(nm_vnnlib *v, bool is_output, int64_t index, const nm_decimal *coef,
                          bool negative)
{
    linear *sum = v->linear;
    nm_status rc = NM_OK;

    if (sum->n == sum->room) {
        size_t room = sum->room > 0 ? 2 * sum->room : 16;

        rc = nm_realloc(&sum->terms, room, sizeof *sum->terms, v->lexer.err);
        if (rc != NM_OK)
            return rc;
        sum->room = room;
    }
    sum->terms[sum->n++] =
        (term){.is_output = is_output, .index = index, .coef = *coef, .negative = negative};
    return NM_OK;
}

static bool looks_like_number(const nm_token *token)
{
    return token->kind == NM_TOKEN_WORD && strchr("+-.0123456789", *token->begin);
}

static nm_status read_number(nm_vnnlib *v, nm_decimal *out)
{
    const nm_token *t = &v->token;

    if (t->kind != NM_TOKEN_WORD || !nm_parse_decimal(t->begin, t->end, out))
        return nm_lex_fail(
            &v->lexer, t, NM_E_FORMAT,
            "'%.*s' is no decimal number of at most 511 characters that a double can "
            "hold",
            nm_token_shown(t), t->begin);
    return NM_OK;
}

/* A declared variable. */
static nm_status read_variable(nm_vnnlib *v, bool *is_output, int64_t *index)
{
    const nm_token *t = &v->token;
    const nm_declared *of;
    char letter;

    if (t->kind != NM_TOKEN_WORD || !nm_vnnlib_variable(v, t, &letter, index))
        return nm_lex_fail(&v->lexer, t, NM_E_FORMAT,
                           "'%.*s' is no number and no variable X_i or Y_i", nm_token_shown(t),
                           t->begin);
    of = letter == 'X' ? &v->x : &v->y;
    if ((size_t)*index >= of->room || !of->is_set[*index])
        return nm_lex_fail(&v->lexer, t, NM_E_FORMAT, "%c_%lld is not declared before", letter,
                           (long long)*index);
    *is_output = letter == 'Y';
    return NM_OK;
}

/* Behind "(*": a number and a variable, in any order. */
static nm_status read_product(nm_vnnlib *v, bool negative)
{
    nm_token at = v->token;
    nm_decimal coef = {0};
    bool is_output = false;
    int64_t index = -1;
    int n_numbers = 0, n_variables = 0;
    nm_status rc = NM_OK;

    while (v->token.kind == NM_TOKEN_WORD && n_numbers < 2 && n_variables < 2) {
        if (looks_like_number(&v->token)) {
            n_numbers++;
            NM_TRY(read_number(v, &coef));
        } else {
            n_variables++;
            NM_TRY(read_variable(v, &is_output, &index));
        }
        NM_TRY(nm_vnnlib_next(v));
    }
    if (n_numbers != 1 || n_variables != 1 || v->token.kind != NM_TOKEN_CLOSE)
        return nm_lex_fail(
            &v->lexer, &at, NM_E_UNSUPPORTED,
            "a product is understood of a number and a variable only: everything has "
            "to be linear");
    NM_TRY(add_term(v, is_output, index, &coef, negative));
    rc = nm_vnnlib_next(v);
done:
    return rc;
}

static nm_status read_sum(nm_vnnlib *v, bool negative, int depth);

/* -(terms from `first` on and the constant). */
static void negate_from(linear *sum, size_t first)
{
    double lo = sum->lo;

    for (size_t i = first; i < sum->n; i++)
        sum->terms[i].negative = !sum->terms[i].negative;
    sum->lo = -sum->hi;
    sum->hi = -lo;
}

/* Behind "(+" or "(-": terms. */
static nm_status read_terms(nm_vnnlib *v, bool minus, bool negative, int depth)
{
    linear *sum = v->linear;
    double lo = sum->lo, hi = sum->hi;
    size_t first = sum->n;
    int n = 0;
    nm_status rc = NM_OK;

    sum->lo = sum->hi = 0;
    for (; v->token.kind == NM_TOKEN_OPEN || v->token.kind == NM_TOKEN_WORD; n++)
        NM_TRY(read_sum(v, negative != (minus && n > 0), depth));
    if (n == 0)
        return nm_lex_fail(&v->lexer, &v->token, NM_E_FORMAT, "expected a term");
    if (minus && n == 1)
        negate_from(sum, first);
    add_constant(sum, lo, hi);
    rc = nm_vnnlib_close(v, "a sum");
done:
    return rc;
}

static nm_status read_compound(nm_vnnlib *v, bool negative, int depth)
{
    nm_token head;
    nm_status rc = NM_OK;

    if (depth == MOST_DEPTH)
        return nm_lex_fail(&v->lexer, &v->token, NM_E_UNSUPPORTED,
                           "terms are nested deeper than %d", MOST_DEPTH);
    NM_TRY(nm_vnnlib_next(v));
    head = v->token;
    NM_TRY(nm_vnnlib_next(v));
    if (nm_token_is(&head, "+") || nm_token_is(&head, "-"))
        return read_terms(v, nm_token_is(&head, "-"), negative, depth + 1);
    if (nm_token_is(&head, "*"))
        return read_product(v, negative);
    return nm_lex_fail(&v->lexer, &head,
                       head.kind == NM_TOKEN_WORD ? NM_E_UNSUPPORTED : NM_E_FORMAT,
                       "'%.*s' where a term was expected: linear terms are made of +, - and *",
                       nm_token_shown(&head), head.begin);
done:
    return rc;
}

/* A term at the current token, with its sign, added to the sum. */
static nm_status read_sum(nm_vnnlib *v, bool negative, int depth)
{
    nm_decimal number;
    bool is_output = false;
    int64_t index = -1;
    nm_status rc = NM_OK;

    if (v->token.kind == NM_TOKEN_OPEN)
        return read_compound(v, negative, depth);
    if (looks_like_number(&v->token)) {
        NM_TRY(read_number(v, &number));
        if (negative)
            add_constant(v->linear, -nm_decimal_up(&number), -nm_decimal_down(&number));
        else
            add_constant(v->linear, nm_decimal_down(&number), nm_decimal_up(&number));
    } else {
        NM_TRY(read_variable(v, &is_output, &index));
        NM_TRY(add_term(v, is_output, index, &one, negative));
    }
    rc = nm_vnnlib_next(v);
done:
    return rc;
}

/* -- exact coefficients ----------------------------------------------------------------------- */

/* digits * 10^(exponent + power) as a double, if that is a whole number below 2^53. */
static bool scale_coefficient(const nm_decimal *d, int power, double *out)
{
    uint64_t value = d->digits;
    int exponent = d->exponent + power;

    if (!d->whole || (value != 0 && abs(exponent) > 2 * MOST_POWER))
        return false;
    for (; value != 0 && exponent > 0; exponent--) {
        if (value > (UINT64_C(1) << 53) / 10)
            return false;
        value *= 10;
    }
    for (; value != 0 && exponent < 0; exponent++) {
        if (value % 10 != 0)
            return false;
        value /= 10;
    }
    *out = d->negative ? -(double)value : (double)value;
    return value <= UINT64_C(1) << 53;
}

/* Fills in the values; multiplies the constant by the power of ten that it took. */
static bool make_exact(linear *sum)
{
    bool exact = true;
    double factor = 1;

    for (size_t i = 0; i < sum->n; i++) {
        sum->terms[i].value = sum->terms[i].coef.near;
        exact = exact && sum->terms[i].coef.side == 0;
    }
    for (int power = 0; power <= MOST_POWER && !exact; power++) {
        exact = true;
        for (size_t i = 0; i < sum->n && exact; i++)
            exact = scale_coefficient(&sum->terms[i].coef, power, &sum->terms[i].value);
        if (!exact)
            factor *= 10;
    }
    if (factor > 1) {
        sum->lo = multiply_down(sum->lo, factor);
        sum->hi = -multiply_down(-sum->hi, factor);
    }
    for (size_t i = 0; i < sum->n; i++)
        if (sum->terms[i].negative)
            sum->terms[i].value = -sum->terms[i].value;
    return exact;
}

static int by_variable(const void *a, const void *b)
{
    const term *s = a, *t = b;

    if (s->is_output != t->is_output)
        return s->is_output ? 1 : -1;
    return (s->index > t->index) - (s->index < t->index);
}

/* Adds up terms of the same variable and drops those that vanish; false if that would round. */
static bool merge_terms(linear *sum)
{
    size_t n = 0;

    if (sum->n > 1)
        qsort(sum->terms, sum->n, sizeof *sum->terms, by_variable);
    for (size_t i = 0; i < sum->n; i++) {
        double a, b;

        if (n == 0 || by_variable(&sum->terms[n - 1], &sum->terms[i]) != 0) {
            sum->terms[n++] = sum->terms[i];
            continue;
        }
        a = sum->terms[n - 1].value;
        b = sum->terms[i].value;
        if (add_down(a, b) != -add_down(-a, -b))
            return false;
        sum->terms[n - 1].value = a + b;
    }
    sum->n = 0;
    for (size_t i = 0; i < n; i++)
        if (sum->terms[i].value != 0)
            sum->terms[sum->n++] = sum->terms[i];
    return true;
}

/* -- atoms ------------------------------------------------------------------------------------ */

static nm_status add_atom(nm_vnnlib *v, const nm_atom *atom, int32_t *number)
{
    nm_status rc = NM_OK;

    if (v->n_atoms == v->room_atoms) {
        int32_t room = v->room_atoms > 0 ? 2 * v->room_atoms : 64;

        rc = v->room_atoms > INT32_MAX / 2
                 ? nm_fail(v->lexer.err, NM_E_UNSUPPORTED, "%lld: too many comparisons",
                           (long long)v->lexer.line)
                 : nm_realloc(&v->atoms, (size_t)room, sizeof *v->atoms, v->lexer.err);
        if (rc != NM_OK)
            return rc;
        v->room_atoms = room;
    }
    v->atoms[v->n_atoms] = *atom;
    *number = v->n_atoms++;
    return NM_OK;
}

/* 0 + constant <= 0 */
static nm_status atom_of_constant(nm_vnnlib *v, const nm_token *op, int32_t *number)
{
    *number = -1;
    if (v->linear->hi <= 0)
        return NM_OK;
    if (v->linear->lo > 0)
        return add_atom(v, &(nm_atom){.kind = NM_ATOM_NEVER}, number);
    return nm_lex_fail(&v->lexer, op, NM_E_UNSUPPORTED,
                       "a comparison of constants that are too close to tell apart");
}

/* coef x + constant <= 0 */
static nm_status atom_of_input(nm_vnnlib *v, int32_t *number)
{
    const term *t = &v->linear->terms[0];
    double c = fabs(t->value), lo = v->linear->lo, hi = v->linear->hi;
    nm_atom atom = {.which = (int32_t)t->index};

    if (t->value > 0) { /* x <= -constant / c */
        atom.kind = NM_ATOM_AT_MOST;
        atom.in = divide_down(-hi, c);
        atom.out = -divide_down(lo, c);
    } else { /* x >= constant / c */
        atom.kind = NM_ATOM_AT_LEAST;
        atom.in = -divide_down(-hi, c);
        atom.out = divide_down(lo, c);
    }
    atom.in += 0.0; /* no -0 */
    atom.out += 0.0;
    return add_atom(v, &atom, number);
}

static nm_status atom_of_outputs(nm_vnnlib *v, int32_t *number)
{
    const linear *sum = v->linear;
    int32_t *output = nm_arena_take(v->arena, sum->n, sizeof *output);
    double *coef = nm_arena_take(v->arena, sum->n, sizeof *coef);
    nm_status rc;

    if (!output || !coef)
        return nm_fail(v->lexer.err, NM_E_NOMEM, "out of memory");
    if (v->n_rows == v->room_rows) {
        int32_t room = v->room_rows > 0 ? 2 * v->room_rows : 16;

        rc = nm_realloc(&v->rows, (size_t)room, sizeof *v->rows, v->lexer.err);
        if (rc != NM_OK)
            return rc;
        v->room_rows = room;
    }
    for (size_t i = 0; i < sum->n; i++) {
        output[i] = (int32_t)sum->terms[i].index;
        coef[i] = sum->terms[i].value;
    }
    v->rows[v->n_rows] = (nm_out_row){.n_terms = (int32_t)sum->n,
                                      .output = output,
                                      .coef = coef,
                                      .limit_out = 0.0 - sum->lo,
                                      .limit_in = 0.0 - sum->hi};
    return add_atom(v, &(nm_atom){.kind = NM_ATOM_ROW, .which = v->n_rows++}, number);
}

static nm_status atom_of_sum(nm_vnnlib *v, const nm_token *op, int32_t *number)
{
    const linear *sum = v->linear;

    if (!make_exact(v->linear) || !merge_terms(v->linear))
        return nm_lex_fail(&v->lexer, op, NM_E_UNSUPPORTED,
                           "coefficients with more digits than can be kept exactly (15)");
    if (!isfinite(sum->lo) || !isfinite(sum->hi))
        return nm_lex_fail(&v->lexer, op, NM_E_UNSUPPORTED, "constants too large for a double");
    if (sum->n == 0)
        return atom_of_constant(v, op, number);
    if (sum->terms[0].is_output)
        return atom_of_outputs(v, number);
    if (sum->n == 1)
        return atom_of_input(v, number);
    return nm_lex_fail(&v->lexer, op, NM_E_UNSUPPORTED,
                       "a comparison of X_%lld with %c_%lld: inputs may only be compared with "
                       "numbers",
                       (long long)sum->terms[0].index, sum->terms[1].is_output ? 'Y' : 'X',
                       (long long)sum->terms[1].index);
}

nm_status nm_vnnlib_comparison(nm_vnnlib *v, const nm_token *op, int32_t *atom)
{
    bool at_least = nm_token_is(op, ">=");
    nm_status rc = NM_OK;

    if (!v->linear)
        NM_TRY(nm_alloc(&v->linear, 1, sizeof *v->linear, v->lexer.err));
    v->linear->n = 0;
    v->linear->lo = v->linear->hi = 0;
    for (int side = 0; side < 2; side++) {
        if (v->token.kind != NM_TOKEN_OPEN && v->token.kind != NM_TOKEN_WORD)
            return nm_lex_fail(&v->lexer, &v->token, NM_E_FORMAT,
                               "a comparison takes two terms, this has %d", side);
        NM_TRY(read_sum(v, at_least == (side == 0), 0));
    }
    if (v->token.kind != NM_TOKEN_CLOSE)
        return nm_lex_fail(&v->lexer, &v->token, NM_E_FORMAT,
                           v->token.kind == NM_TOKEN_END ? "the file ends within a comparison"
                                                         : "a comparison takes two terms, this has "
                                                           "more");
    NM_TRY(nm_vnnlib_next(v));
    rc = atom_of_sum(v, op, atom);
done:
    return rc;
}

void nm_vnnlib_free_linear(nm_vnnlib *v)
{
    if (v->linear)
        nm_free(v->linear->terms);
    nm_free(v->linear);
    v->linear = NULL;
}
