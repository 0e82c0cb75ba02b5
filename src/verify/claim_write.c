/* Claims as text: one line an entry of each list, so that people can read them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "verify/claim.h"
#include "verify/json.h"

/* Makers return NULL when memory runs out, or when a name is no UTF-8. Adding NULL fails, and so
   does the claim. */

static json_t *number(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *integer(int64_t v)
{
    return json_integer((json_int_t)v);
}

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static void put(json_t *o, const char *key, json_t *value, bool *failed)
{
    if (json_object_set_new(o, key, value) != 0)
        *failed = true;
}

static void append(json_t *list, json_t *value, bool *failed)
{
    if (json_array_append_new(list, value) != 0)
        *failed = true;
}

static json_t *integers(const int64_t *v, int64_t n, bool *failed)
{
    json_t *list = json_array();

    for (int64_t i = 0; i < n; i++)
        append(list, integer(v[i]), failed);
    return list;
}

static json_t *pairs(const int64_t *v, int64_t n, bool *failed)
{
    json_t *list = json_array();

    for (int64_t i = 0; i < n; i++)
        append(list, integers(v + 2 * i, 2, failed), failed);
    return list;
}

static json_t *numbers(const double *v, int64_t n, bool *failed)
{
    json_t *list = json_array();

    for (int64_t i = 0; i < n; i++)
        append(list, number(v[i]), failed);
    return list;
}

static json_t *file_json(const nm_claim_file *f, bool *failed)
{
    json_t *o = json_object();

    put(o, "name", json_string(f->name), failed);
    put(o, "file", json_string(f->path), failed);
    put(o, "bytes", integer(f->n_bytes), failed);
    put(o, "sha256", json_string(f->sha256), failed);
    return o;
}

static json_t *set_json(const nm_claim_set *s, bool *failed)
{
    json_t *o = json_object();
    int n = s->opts.n_channels;

    put(o, "points", json_string(s->points), failed);
    put(o, "labels", text_or_null(s->labels), failed);
    put(o, "first", integer(s->opts.first), failed);
    put(o, "last", integer(s->opts.last), failed);
    put(o, "scale", number(s->opts.scale), failed);
    put(o, "mean", numbers(s->opts.mean, s->opts.mean ? n : 0, failed), failed);
    put(o, "std", numbers(s->opts.std, s->opts.std ? n : 0, failed), failed);
    put(o, "label_column",
        s->opts.label_column == NM_LABEL_NONE ? json_null() : integer(s->opts.label_column),
        failed);
    put(o, "wanted", integer(s->wanted), failed);
    put(o, "rows", s->rows ? integers(s->rows, s->n_rows, failed) : json_null(), failed);
    return o;
}

static json_t *edit_json(const nm_claim *c, bool *failed)
{
    json_t *o = json_object(), *list = json_array();

    for (int i = 0; i < c->n_tensors; i++) {
        const nm_claim_tensor *t = &c->tensors[i];
        json_t *tensor = json_object();

        put(tensor, "layer", integer(t->layer), failed);
        put(tensor, "tensor", json_string(t->bias ? "biases" : "weights"), failed);
        put(tensor, "free", t->runs ? pairs(t->runs, t->n_runs, failed) : json_null(), failed);
        append(list, tensor, failed);
    }
    put(o, "lo", number(c->lo), failed);
    put(o, "hi", number(c->hi), failed);
    put(o, "tensors", list, failed);
    return o;
}

static json_t *rows_json(const nm_claim_proof *p, const nm_claim_point *point, bool pins,
                         bool *failed)
{
    json_t *list = json_array();

    for (int64_t r = point->first; r < point->first + point->n; r++) {
        const nm_claim_row *row = &p->rows[r];
        json_t *entry = json_array();

        if ((row->op >= 0) != pins) {
            json_decref(entry);
            continue;
        }
        if (pins)
            append(entry, integer(row->op), failed);
        append(entry, integer(row->k), failed);
        append(entry, number(row->y), failed);
        append(list, entry, failed);
    }
    return list;
}

static void put_proof(json_t *o, const nm_claim_proof *p, bool *failed)
{
    json_t *list = json_array();

    for (int64_t i = 0; i < p->n_points; i++) {
        json_t *point = json_object();

        put(point, "set", json_string(nm_claim_sets[p->points[i].set]), failed);
        put(point, "point", integer(p->points[i].point), failed);
        put(point, "margin", number(p->points[i].margin), failed);
        put(point, "labels", rows_json(p, &p->points[i], false, failed), failed);
        put(point, "pins", rows_json(p, &p->points[i], true, failed), failed);
        append(list, point, failed);
    }
    put(o, "pieces", json_string(nm_claim_pieces_words[p->pieces]), failed);
    put(o, "points", list, failed);
}

/* Bytes as hexadecimal digits. */
static json_t *bytes_json(const unsigned char *bytes, int64_t n)
{
    static const char digits[] = "0123456789abcdef";
    char *text;
    json_t *out = NULL;
    nm_err ignored = {0};

    if (nm_alloc(&text, (size_t)(2 * n) + 1, 1, &ignored) != NM_OK)
        return NULL;
    for (int64_t i = 0; i < n; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    out = json_string(text);
    nm_free(text);
    return out;
}

static void put_streams(json_t *o, const nm_region_proof *p, bool *failed)
{
    json_t *ints = json_array(), *floats = json_array();

    for (int64_t i = 0; i < p->n_ints; i++)
        append(ints, integer(p->ints[i]), failed);
    for (int64_t i = 0; i < p->n_floats; i++)
        append(floats, p->floats[i] == 0 ? integer(0) : json_real((double)p->floats[i]), failed);
    put(o, "ints", ints, failed);
    put(o, "floats", floats, failed);
    put(o, "bytes", bytes_json(p->bytes, p->n_bytes), failed);
}

/* Steps as [kind, dim, at, how many of the numbers are theirs]. */
static json_t *region_json(const nm_region_proof *p, bool *failed)
{
    json_t *o = json_object(), *list = json_array();

    for (int64_t i = 0; i < p->n_steps; i++) {
        json_t *step = json_array();

        append(step, integer((int64_t)p->steps[i].kind), failed);
        append(step, integer(p->steps[i].dim), failed);
        append(step, json_real(p->steps[i].at), failed);
        append(step, integer(p->steps[i].n), failed);
        append(list, step, failed);
    }
    put(o, "steps", list, failed);
    put(o, "numbers", numbers(p->numbers, p->n_numbers, failed), failed);
    if (p->n_ints > 0)
        put_streams(o, p, failed);
    return o;
}

static json_t *regions_json(const nm_claim_statement *s, bool *failed)
{
    json_t *list = json_array();

    for (int64_t i = 0; i < s->n_regions; i++)
        append(list, region_json(&s->regions[i], failed), failed);
    return list;
}

static void put_statement(json_t *o, const nm_claim_statement *s, bool *failed)
{
    switch (s->what) {
    case NM_CLAIM_ARCHITECTURE:
        put(o, "same_bytes", json_boolean(s->same_bytes), failed);
        put(o, "n_changed", integer(s->n_changed), failed);
        put(o, "linf", number(s->linf), failed);
        put(o, "l1", number(s->l1), failed);
        put(o, "l2", number(s->l2), failed);
        break;
    case NM_CLAIM_REPAIR_SET:
        put(o, "points", s->points ? integers(s->points, s->n_points, failed) : json_null(),
            failed);
        put(o, "margin", number(s->margin), failed);
        put(o, "safe", json_string(nm_claim_safes[s->safe]), failed);
        put(o, "n_any_order", integer(s->n_any_order), failed);
        put(o, "n_first_order", integer(s->n_first_order), failed);
        put(o, "n_probable", integer(s->n_probable), failed);
        break;
    case NM_CLAIM_KEEP_SET:
        put(o, "n_right", integer(s->n_right), failed);
        put(o, "n_kept", integer(s->n_kept), failed);
        break;
    case NM_CLAIM_OPTIMALITY:
        put(o, "norm", json_string(nm_claim_norms[s->norm]), failed);
        put(o, "mean_over", number(s->mean_over), failed);
        put(o, "objective", number(s->objective), failed);
        put(o, "lower_bound", number(s->lower_bound), failed);
        put(o, "gap", number(s->gap), failed);
        put_proof(o, &s->proof, failed);
        break;
    case NM_CLAIM_INFEASIBLE:
        put(o, "box", number(s->box), failed);
        put_proof(o, &s->proof, failed);
        break;
    case NM_CLAIM_TWINS:
        put(o, "points", integers(s->twins, 2, failed), failed);
        break;
    case NM_CLAIM_HOLDS:
        put(o, "boxes", regions_json(s, failed), failed);
        break;
    case NM_CLAIM_VIOLATED:
        put(o, "x", numbers(s->x, s->n_x, failed), failed);
        break;
    default:
        break;
    }
}

static json_t *statement_json(const nm_claim_statement *s, bool *failed)
{
    json_t *o = json_object();

    put(o, "what", json_string(nm_claim_whats[s->what]), failed);
    put_statement(o, s, failed);
    return o;
}

static json_t *claim_json(const nm_claim *c, bool *failed)
{
    json_t *root = json_object(), *files = json_array(), *sets = json_object(),
           *statements = json_array();

    for (int i = 0; i < c->n_files; i++)
        append(files, file_json(&c->files[i], failed), failed);
    for (int i = 0; i < NM_N_SETS; i++)
        if (c->sets[i].points)
            put(sets, nm_claim_sets[i], set_json(&c->sets[i], failed), failed);
    for (int i = 0; i < c->n_statements; i++)
        append(statements, statement_json(&c->statements[i], failed), failed);
    put(root, "format", json_string(NM_CLAIM_FORMAT), failed);
    put(root, "version", json_string(nm_version()), failed);
    put(root, "files", files, failed);
    put(root, "sets", sets, failed);
    put(root, "edit", edit_json(c, failed), failed);
    put(root, "statements", statements, failed);
    return root;
}

/* -- text -------------------------------------------------------------------------------- */

static bool print_value(FILE *out, const json_t *value)
{
    return json_dumpf(value, out, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17)) == 0;
}

static bool print_list(FILE *out, const json_t *list)
{
    bool ok = fputs("[", out) != EOF;

    for (size_t i = 0; ok && i < json_array_size(list); i++)
        ok = fputs(i > 0 ? ",\n  " : "\n  ", out) != EOF &&
             print_value(out, json_array_get(list, i));
    return ok && fputs("]", out) != EOF;
}

static bool print_claim(FILE *out, json_t *root)
{
    const char *key, *before = "{\n \"";
    json_t *value;
    bool ok = true;

    json_object_foreach(root, key, value)
    {
        ok = ok && fprintf(out, "%s%s\": ", before, key) > 0 &&
             (json_is_array(value) ? print_list(out, value) : print_value(out, value));
        before = ",\n \"";
    }
    return ok && fputs("\n}\n", out) != EOF;
}

static nm_status write_text(json_t *root, const char *path, nm_err *err)
{
    nm_writer w;
    nm_status rc = nm_writer_open(&w, path, err);

    if (rc != NM_OK)
        return rc;
    if (!print_claim(w.stream, root) && !ferror(w.stream)) {
        nm_writer_abort(&w);
        return nm_fail(err, NM_E_NOMEM, "%s: out of memory", path);
    }
    return nm_writer_commit(&w, err); /* a failed write shows there */
}

nm_status nm_claim_save(const nm_claim *claim, const char *path, nm_err *err)
{
    bool failed = false;
    json_t *root = claim_json(claim, &failed);
    char hash[NM_SHA256_TEXT];
    nm_status rc = NM_OK;

    if (failed || !root)
        NM_THROW(err, NM_E_ARG,
                 "%s: the claim cannot be written: a file name is not UTF-8, or memory ran out",
                 path);
    NM_TRY(nm_json_hash(root, hash, err));
    put(root, "sha256", json_string(hash), &failed);
    rc = write_text(root, path, err);
done:
    json_decref(root);
    return rc;
}
