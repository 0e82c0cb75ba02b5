#include "help_heuristics.h"

#include <math.h>
#include <string.h>

#include "doc.h"
#include "netmend/netmend.h"

typedef const nm_heuristic *(*heuristic_at)(int i);

static const char *const kind_names[] = {"number", "whole number", "word", "list"};

/* -- text -------------------------------------------------------------------------------------- */

static void print_limit(FILE *out, const nm_heuristic_param *p)
{
    if (p->kind == NM_PARAM_WORD) {
        for (int i = 0; p->words[i]; i++)
            (void)fprintf(out, "%s%s", i ? "|" : "", p->words[i]);
    } else if (p->kind == NM_PARAM_LIST) {
        (void)fputs("I+J+K-L", out);
    } else {
        (void)fprintf(out, "%s %g, %s %g", p->above_min ? ">" : ">=", p->min,
                      p->below_max ? "<" : "<=", p->max);
    }
}

static void print_default(FILE *out, const nm_heuristic_param *p)
{
    if (p->shown)
        (void)fprintf(out, " [%s]", p->shown);
    else if (p->kind == NM_PARAM_WORD)
        (void)fprintf(out, " [%s]", p->words[(int)p->initial]);
    else if (p->kind != NM_PARAM_LIST)
        (void)fprintf(out, " [%g]", p->initial);
}

static void print_one(FILE *out, const nm_heuristic *h)
{
    (void)fprintf(out, "  %s\n      %s\n      looks at %s\n", h->name, h->summary, h->scope);
    for (int i = 0; i < h->n_params; i++) {
        (void)fprintf(out, "      %s=", h->params[i].name);
        print_limit(out, &h->params[i]);
        print_default(out, &h->params[i]);
        (void)fprintf(out, "\n          %s\n", h->params[i].help);
    }
    (void)fprintf(out, "      source: %s\n", h->source);
}

static void print_list(FILE *out, const char *title, heuristic_at at)
{
    (void)fputs(title, out);
    for (int i = 0; at(i); i++)
        print_one(out, at(i));
}

static void print_text(FILE *out)
{
    print_list(out,
               "What may change: netmend repair --edit NAME[:key=value,...]\n"
               "Each gives a score per layer; the best one is changed.\n\n",
               nm_edit_heuristic);
    print_list(out,
               "\nWhich points: netmend repair --select NAME[:key=value,...] --size N\n"
               "Each gives points in order; the first N are repaired.\n\n",
               nm_set_heuristic);
}

/* -- JSON -------------------------------------------------------------------------------------- */

static json_t *words(const nm_heuristic_param *p)
{
    json_t *list = json_array();

    for (int i = 0; p->words && p->words[i]; i++)
        (void)json_array_append_new(list, json_string(p->words[i]));
    return list;
}

static json_t *initial(const nm_heuristic_param *p)
{
    if (p->kind == NM_PARAM_WORD)
        return json_string(p->words[(int)p->initial]);
    return p->kind == NM_PARAM_LIST ? json_null() : nm_doc_number(p->initial);
}

static json_t *parameter(const nm_heuristic_param *p)
{
    bool is_number = p->kind == NM_PARAM_REAL || p->kind == NM_PARAM_INT;
    json_t *o = json_pack("{s:s, s:s, s:s, s:o}", "name", p->name, "kind", kind_names[p->kind],
                          "help", p->help, "default", initial(p));

    if (p->shown)
        (void)json_object_set_new(o, "default_is", json_string(p->shown));
    if (p->kind == NM_PARAM_WORD)
        (void)json_object_set_new(o, "words", words(p));
    if (is_number)
        (void)json_object_update_new(o,
                                     json_pack("{s:o, s:o, s:b, s:b}", "min", nm_doc_number(p->min),
                                               "max", nm_doc_number(p->max), "min_excluded",
                                               p->above_min, "max_excluded", p->below_max));
    return o;
}

static json_t *list(heuristic_at at)
{
    json_t *all = json_array();

    for (int i = 0; at(i); i++) {
        const nm_heuristic *h = at(i);
        json_t *params = json_array();

        for (int k = 0; k < h->n_params; k++)
            (void)json_array_append_new(params, parameter(&h->params[k]));
        (void)json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:s, s:o}", "name", h->name,
                                                   "summary", h->summary, "scope", h->scope,
                                                   "source", h->source, "parameters", params));
    }
    return all;
}

static void print_json(FILE *out)
{
    json_t *document =
        json_pack("{s:s, s:s, s:s, s:s, s:{s:s}, s:i, s:i, s:{s:f}, s:o, s:o}", "schema",
                  "netmend/1", "verb", "help", "version", nm_version(), "status", "done", "options",
                  "topic", "heuristics", "seed", 0, "threads", 1, "time_s", "total", 0.0, "edit",
                  list(nm_edit_heuristic), "set", list(nm_set_heuristic));

    if (document)
        (void)json_dumpf(document, out, JSON_INDENT(2));
    (void)fputc('\n', out);
    json_decref(document);
}

void nm_help_heuristics(FILE *out, bool json)
{
    if (json)
        print_json(out);
    else
        print_text(out);
}
