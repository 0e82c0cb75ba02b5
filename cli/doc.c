#include "doc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "netmend/report.h"

nm_status nm_doc_open(nm_doc *doc, nm_err *err)
{
    *doc = (nm_doc){.verb_keys = json_object(), .times = json_object(), .page_keys = json_object()};
    if (!doc->verb_keys || !doc->times || !doc->page_keys)
        return nm_cli_fail(err, NM_E_NOMEM, "out of memory");
    return NM_OK;
}

void nm_doc_close(nm_doc *doc)
{
    json_decref(doc->verb_keys);
    json_decref(doc->times);
    json_decref(doc->page_keys);
    *doc = (nm_doc){0};
}

void nm_doc_put(nm_doc *doc, const char *key, json_t *value)
{
    if (json_object_set_new(doc->verb_keys, key, value) != 0)
        doc->failed = true;
}

void nm_doc_put_time(nm_doc *doc, const char *phase, double seconds)
{
    if (json_object_set_new(doc->times, phase, nm_doc_number(seconds)) != 0)
        doc->failed = true;
}

void nm_doc_put_page(nm_doc *doc, const char *key, json_t *value)
{
    if (json_object_set_new(doc->page_keys, key, value) != 0)
        doc->failed = true;
}

void nm_doc_append(nm_doc *doc, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0)
        doc->failed = true;
}

void nm_doc_merge(nm_doc *doc, const char *object_text)
{
    json_t *object = object_text ? json_loads(object_text, 0, NULL) : NULL;
    json_t *times = json_object_get(object, "time_s");

    if (!object || (times && json_object_update(doc->times, times) != 0)) {
        doc->failed = true;
    } else {
        (void)json_object_del(object, "time_s");
        (void)json_object_del(object, "status");
        if (json_object_update(doc->verb_keys, object) != 0)
            doc->failed = true;
    }
    json_decref(object);
}

/* The whole document, NULL when memory ran out. */
static json_t *build(nm_doc *doc, const nm_doc_head *head)
{
    json_t *root;

    nm_doc_put_time(doc, "total", head->total_s);
    root = json_pack("{s:s, s:s, s:s, s:s, s:o, s:I, s:i, s:O}", "schema", "netmend/1", "verb",
                     head->verb, "version", nm_version(), "status", head->status, "options",
                     nm_opt_echo(head->groups, head->values), "seed", (json_int_t)head->seed,
                     "threads", head->threads, "time_s", doc->times);
    if (root && json_object_update(root, doc->verb_keys) == 0 && !doc->failed)
        return root;
    json_decref(root);
    return NULL;
}

static nm_status no_memory(nm_err *err)
{
    return nm_cli_fail(err, NM_E_NOMEM, "out of memory while writing the JSON document");
}

nm_status nm_doc_print(nm_doc *doc, const nm_doc_head *head, nm_err *err)
{
    json_t *root = build(doc, head);
    char *text = NULL;

    if (root)
        text = json_dumps(root, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(17));
    json_decref(root);
    if (!text)
        return no_memory(err);
    (void)printf("%s\n", text);
    free(text);
    return NM_OK;
}

nm_status nm_doc_write_page(nm_doc *doc, const nm_doc_head *head, const char *path, nm_err *err)
{
    json_t *root = build(doc, head);
    char *text = NULL;
    nm_status rc;

    if (root && json_object_update(root, doc->page_keys) == 0)
        text = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(root);
    if (!text)
        return no_memory(err);
    rc = nm_report_page(text, path, err);
    free(text);
    return rc;
}

json_t *nm_doc_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* Copy with every byte outside ASCII replaced; for text that is not UTF-8. */
static json_t *ascii_text(const char *text)
{
    size_t length = strlen(text);
    char *copy = malloc(length + 1);
    json_t *value;

    if (!copy)
        return NULL;
    for (size_t i = 0; i <= length; i++)
        copy[i] = (char)((unsigned char)text[i] < 0x80 ? text[i] : '?');
    value = json_stringn(copy, length);
    free(copy);
    return value;
}

json_t *nm_doc_text(const char *text)
{
    json_t *value;

    if (!text)
        return json_null();
    value = json_string(text);
    return value ? value : ascii_text(text);
}

json_t *nm_doc_ints(const int64_t *values, int64_t n)
{
    json_t *array = json_array();

    for (int64_t i = 0; i < n; i++)
        if (json_array_append_new(array, json_integer(values[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}
