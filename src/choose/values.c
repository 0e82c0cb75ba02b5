#include "choose/values.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/number.h"

static const char published[] = "published:";

size_t nm_heuristic_name_length(const char *text)
{
    size_t prefix = strncmp(text, published, sizeof published - 1) == 0 ? sizeof published - 1 : 0;

    return prefix + strcspn(text + prefix, ":");
}

/* -- finding a heuristic -------------------------------------------------------------------- */

nm_status nm_heuristic_find(nm_heuristic_at at, const char *kind, const char *text, int *index,
                            nm_err *err)
{
    size_t length = nm_heuristic_name_length(text);

    for (*index = 0; at(*index); ++*index)
        if (strlen(at(*index)->name) == length && strncmp(at(*index)->name, text, length) == 0)
            return NM_OK;
    return nm_fail(err, NM_E_ARG,
                   "there is no %s heuristic '%.*s'; `netmend help heuristics` lists them", kind,
                   (int)(length < 64 ? length : 64), text);
}

/* -- what a parameter takes ----------------------------------------------------------------- */

static void say_words(const nm_heuristic_param *p, char *text, size_t room)
{
    size_t used = 0;

    for (int i = 0; p->words[i] && used < room; i++)
        used += (size_t)snprintf(text + used, room - used, "%s%s",
                                 i == 0            ? ""
                                 : p->words[i + 1] ? ", "
                                                   : " or ",
                                 p->words[i]);
}

static void say_range(const nm_heuristic_param *p, char *text, size_t room)
{
    const char *what = p->kind == NM_PARAM_INT ? "a whole number" : "a number";

    if (isinf(p->min) && isinf(p->max))
        (void)snprintf(text, room, "%s", what);
    else if (isinf(p->max))
        (void)snprintf(text, room, "%s %s %g", what, p->above_min ? "above" : "from", p->min);
    else
        (void)snprintf(text, room, "%s %s %g %s %g", what, p->above_min ? "above" : "from", p->min,
                       p->below_max ? "to below" : "to", p->max);
}

static void say_expected(const nm_heuristic_param *p, char text[static 160])
{
    if (p->kind == NM_PARAM_WORD)
        say_words(p, text, 160);
    else if (p->kind == NM_PARAM_LIST)
        (void)snprintf(text, 160, "whole numbers from 0 on joined by '+', like 3+7+20-24");
    else
        say_range(p, text, 160);
}

static nm_status refuse(const nm_heuristic *h, const nm_heuristic_param *p, const char *value,
                        size_t length, nm_err *err)
{
    char expected[160];

    say_expected(p, expected);
    return nm_fail(err, NM_E_ARG, "%s: %s=%.*s, expected %s", h->name, p->name,
                   (int)(length < 64 ? length : 64), value, expected);
}

/* -- one value ------------------------------------------------------------------------------- */

static bool in_range(const nm_heuristic_param *p, double v)
{
    if (!isfinite(v) || (p->kind == NM_PARAM_INT && v != floor(v)))
        return false;
    return (p->above_min ? v > p->min : v >= p->min) && (p->below_max ? v < p->max : v <= p->max);
}

static bool parse_number(const nm_heuristic_param *p, const char *text, size_t length, double *out)
{
    return nm_parse_double(text, text + length, out) && in_range(p, *out);
}

static bool parse_word(const nm_heuristic_param *p, const char *text, size_t length, double *out)
{
    for (int i = 0; p->words[i]; i++)
        if (strlen(p->words[i]) == length && strncmp(p->words[i], text, length) == 0) {
            *out = i;
            return true;
        }
    return false;
}

/* One item "A" or "A-B" of a list. @return what follows, NULL if it is none */
static const char *parse_item(const char *text, int64_t *first, int64_t *last)
{
    char *end;

    if (*text < '0' || *text > '9')
        return NULL;
    *first = *last = strtoll(text, &end, 10);
    if (*end == '-' && end[1] >= '0' && end[1] <= '9')
        *last = strtoll(end + 1, &end, 10);
    return *last >= *first && (*end == '+' || *end == ',' || !*end) ? end : NULL;
}

static bool is_list(const char *text)
{
    int64_t first, last;

    while ((text = parse_item(text, &first, &last)) != NULL) {
        if (*text != '+')
            return true;
        text++;
    }
    return false;
}

nm_status nm_values_list(const char *text, int64_t most, const char *what, int64_t **out,
                         int64_t *n, nm_err *err)
{
    int64_t first, last, room = 0;
    nm_status rc = NM_OK;

    *out = NULL;
    *n = 0;
    for (const char *at = text; at; at = *at == '+' ? at + 1 : NULL) {
        at = parse_item(at, &first, &last);
        if (!at)
            NM_THROW(err, NM_E_INTERNAL, "a list that was not checked");
        if (last >= most)
            NM_THROW(err, NM_E_ARG, "%s: there is no point %" PRId64 ", expected 0 to %" PRId64,
                     what, last, most - 1);
        if (!*out || *n + last - first + 1 > room) {
            room = 2 * (*n + last - first + 1);
            NM_TRY(nm_realloc(out, (size_t)room, sizeof **out, err));
        }
        for (int64_t i = first; i <= last; i++)
            (*out)[(*n)++] = i;
    }
done:
    if (rc != NM_OK) {
        nm_free(*out);
        *out = NULL;
    }
    return rc;
}

static nm_status set_value(const nm_heuristic *h, int i, const char *text, size_t length,
                           nm_values *out, nm_err *err)
{
    const nm_heuristic_param *p = &h->params[i];
    bool good = p->kind == NM_PARAM_WORD   ? parse_word(p, text, length, &out->v[i])
                : p->kind == NM_PARAM_LIST ? is_list(text)
                                           : parse_number(p, text, length, &out->v[i]);

    out->list[i] = text;
    out->given[i] = true;
    return good ? NM_OK : refuse(h, p, text, length, err);
}

/* -- all of them ------------------------------------------------------------------------------ */

static nm_status refuse_name(const nm_heuristic *h, const char *text, size_t length, nm_err *err)
{
    char known[256] = "";
    size_t used = 0;

    for (int i = 0; i < h->n_params && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
                                 h->params[i].name);
    if (h->n_params == 0)
        return nm_fail(err, NM_E_ARG, "%s takes no parameters, got '%.64s'", h->name, text);
    return nm_fail(err, NM_E_ARG, "%s has no parameter '%.*s', expected %s", h->name,
                   (int)(length < 64 ? length : 64), text, known);
}

static nm_status parse_pair(const nm_heuristic *h, const char *text, size_t length, nm_values *out,
                            nm_err *err)
{
    size_t name = strcspn(text, "=,");

    for (int i = 0; i < h->n_params; i++)
        if (name < length && strlen(h->params[i].name) == name &&
            strncmp(h->params[i].name, text, name) == 0)
            return set_value(h, i, text + name + 1, length - name - 1, out, err);
    if (name >= length && h->n_params > 0)
        return nm_fail(err, NM_E_ARG, "%s: '%.*s', expected key=value", h->name,
                       (int)(length < 64 ? length : 64), text);
    return refuse_name(h, text, name, err);
}

nm_status nm_values_parse(const nm_heuristic *h, const char *text, nm_values *out, nm_err *err)
{
    nm_status rc = NM_OK;

    *out = (nm_values){0};
    for (int i = 0; i < h->n_params; i++)
        out->v[i] = h->params[i].initial;
    if (!*text)
        return NM_OK;
    do {
        size_t length = strcspn(++text, ",");

        rc = parse_pair(h, text, length, out, err);
        text += length;
    } while (rc == NM_OK && *text);
    return rc;
}
