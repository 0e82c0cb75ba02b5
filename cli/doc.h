/* The one JSON document that --json prints. */
#ifndef NM_CLI_DOC_H
#define NM_CLI_DOC_H

#include <jansson.h>

#include "netmend/base.h"
#include "opt.h"

/** A document in the making. A key that could not be built (out of memory) makes the whole fail
 *  when it is printed, so the builders need no checks of their own. */
typedef struct nm_doc {
    json_t *verb_keys; /**< object: what the verb has to say */
    json_t *times;     /**< object: seconds by phase */
    json_t *page_keys; /**< object: what only the HTML report shows */
    bool failed;
} nm_doc;

/** What stands in every document, of every verb. */
typedef struct nm_doc_head {
    const char *verb, *status;
    const nm_opt_group *groups; /**< options of the verb ... */
    const void *values;         /**< ... and their effective values */
    int64_t seed;
    int threads;
    double total_s;
} nm_doc_head;

nm_status nm_doc_open(nm_doc *doc, nm_err *err);
void nm_doc_close(nm_doc *doc);

/** Adds a key to the document (or seconds of a phase); takes over `value`, NULL = out of memory. */
void nm_doc_put(nm_doc *doc, const char *key, json_t *value);
void nm_doc_put_time(nm_doc *doc, const char *phase, double seconds);

/** The same for the HTML report alone. */
void nm_doc_put_page(nm_doc *doc, const char *key, json_t *value);

/** Appends to an array of the document; takes over `value`. */
void nm_doc_append(nm_doc *doc, json_t *array, json_t *value);

/** Merges a JSON object given as text: its "status" is left out, the entries of its "time_s" go to
 *  the times, all else becomes keys of the document. */
void nm_doc_merge(nm_doc *doc, const char *object_text);

/** Prints the document on standard output. */
nm_status nm_doc_print(nm_doc *doc, const nm_doc_head *head, nm_err *err);

/** Writes the document, with what is for the report alone, as HTML page. */
nm_status nm_doc_write_page(nm_doc *doc, const nm_doc_head *head, const char *path, nm_err *err);

/** A number; null where JSON has none (NaN, infinities). */
json_t *nm_doc_number(double value);

/** A string; bytes that are not UTF-8 become '?', NULL text becomes null. */
json_t *nm_doc_text(const char *text);

/** n whole numbers. */
json_t *nm_doc_ints(const int64_t *values, int64_t n);

/** All options of a verb with their values, in the order of the tables (opt_echo.c). */
json_t *nm_opt_echo(const nm_opt_group *groups, const void *values);

#endif
