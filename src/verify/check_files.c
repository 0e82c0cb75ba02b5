/* From the files that a claim names to networks and points. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "io/source.h"
#include "verify/check.h"

/* -- hashes ------------------------------------------------------------------------------ */

static nm_status compare_hash(const nm_claim_file *f, const char *path, nm_check_state *s,
                              nm_err *err)
{
    char found[NM_SHA256_TEXT];
    int64_t n_bytes;
    nm_status rc = nm_sha256_file(path, found, &n_bytes, err);

    if (rc != NM_OK)
        return rc;
    if ((n_bytes != f->n_bytes || strcmp(found, f->sha256) != 0) && !s->differs[0])
        (void)snprintf(s->differs, sizeof s->differs,
                       "'%.20s' (%.100s) is not the file that the claim was made for", f->name,
                       path);
    return NM_OK;
}

nm_status nm_check_files(const nm_check_state *s, const nm_claim_statement *statement,
                         nm_check_statement *out, nm_err *err)
{
    (void)statement;
    if (!s->claim->is_intact)
        return nm_fail(err, NM_E_ARG, "the claim was edited: its hash is not that of its content");
    if (s->differs[0])
        return nm_fail(err, NM_E_ARG, "%s", s->differs);
    nm_confirm(out, s->claim->n_files, "%d files have the claimed SHA-256", s->claim->n_files);
    return NM_OK;
}

/* -- networks ---------------------------------------------------------------------------- */

/* @param classes  whether the claim speaks of classes */
static nm_status load_net(nm_ctx *ctx, const char *path, bool classes, nm_net **out, nm_err *err)
{
    const nm_file_source *source;
    nm_status rc = nm_net_load(ctx, path, out, err);

    if (rc != NM_OK)
        return rc;
    source = nm_net_source(*out, NM_FORMAT_ONNX);
    if (source && source->external)
        return nm_fail(err, NM_E_UNSUPPORTED,
                       "%s: keeps tensors outside its file, and claims speak of one file", path);
    if (classes && (*out)->values[(*out)->scores].size < 2)
        return nm_fail(err, NM_E_UNSUPPORTED, "%s: has one output, expected several classes", path);
    return NM_OK;
}

/* Where file i of the claim is. */
static const char *path_at(const nm_check_state *s, char *const *paths, int i)
{
    return paths ? paths[i] : s->claim->files[i].path;
}

static const char *path_of(const nm_check_state *s, char *const *paths, const char *name)
{
    const nm_claim_file *file = name ? nm_claim_find_file(s->claim, name) : NULL;

    return file ? path_at(s, paths, (int)(file - s->claim->files)) : NULL;
}

static nm_status load_nets(nm_check_state *s, char *const *paths, nm_err *err)
{
    bool classes = !nm_claim_find_file(s->claim, "property");
    nm_status rc = NM_OK;

    for (int i = 0; rc == NM_OK && i < s->claim->n_files; i++) {
        if (strcmp(s->claim->files[i].name, "model") == 0 && !s->model)
            rc = load_net(s->ctx, path_at(s, paths, i), classes, &s->model, err);
        else if (strcmp(s->claim->files[i].name, "fixed") == 0 && !s->fixed)
            rc = load_net(s->ctx, path_at(s, paths, i), classes, &s->fixed, err);
    }
    if (rc == NM_OK && !s->model)
        rc = nm_fail(err, NM_E_FORMAT, "the claim names no model");
    if (rc == NM_OK && s->fixed &&
        (nm_net_n_in(s->fixed) != nm_net_n_in(s->model) ||
         s->fixed->values[s->fixed->scores].size != s->model->values[s->model->scores].size))
        rc = nm_fail(err, NM_E_SHAPE, "the two networks have other inputs or outputs");
    return rc;
}

/* -- points ------------------------------------------------------------------------------ */

/* The rows that the claim takes, by number of the row in the file. */
static nm_status take_rows(const nm_claim_set *set, const nm_points *all, nm_points *out,
                           nm_err *err)
{
    int64_t *index = NULL;
    nm_status rc = nm_alloc(&index, (size_t)set->n_rows, sizeof *index, err);

    for (int64_t i = 0; rc == NM_OK && i < set->n_rows; i++) {
        index[i] = set->rows[i] - all->rows[0];
        if (index[i] < 0 || index[i] >= all->n || all->rows[index[i]] != set->rows[i])
            rc = nm_fail(err, NM_E_SHAPE, "row %lld of '%.20s' is claimed, but was not read",
                         (long long)set->rows[i], set->points);
    }
    if (rc == NM_OK && set->n_rows == 0)
        rc = nm_fail(err, NM_E_SHAPE, "no row of '%.20s' is taken", set->points);
    if (rc == NM_OK)
        rc = nm_points_subset(all, index, set->n_rows, out, err);
    nm_free(index);
    return rc;
}

static nm_status set_wanted(const nm_claim_set *set, nm_points *points, int64_t n_classes,
                            nm_err *err)
{
    nm_status rc = NM_OK;

    if (set->wanted >= 0 && !points->labels)
        rc = nm_alloc(&points->labels, (size_t)points->n, sizeof *points->labels, err);
    for (int64_t p = 0; rc == NM_OK && set->wanted >= 0 && p < points->n; p++)
        points->labels[p] = set->wanted;
    if (rc == NM_OK && !points->labels)
        rc = nm_fail(err, NM_E_SHAPE, "the points of '%.20s' have no labels", set->points);
    for (int64_t p = 0; rc == NM_OK && p < points->n; p++)
        if (points->labels[p] < 0 || points->labels[p] >= n_classes)
            rc = nm_fail(err, NM_E_SHAPE, "'%.20s': point %lld has label %lld, expected 0 to %lld",
                         set->points, (long long)p, (long long)points->labels[p],
                         (long long)n_classes - 1);
    return rc;
}

static nm_status load_set(nm_check_state *s, char *const *paths, const nm_claim_set *set,
                          nm_points *out, nm_err *err)
{
    nm_points all = {0};
    nm_data_opts opts = set->opts;
    nm_status rc = NM_OK;

    opts.n_in = nm_net_n_in(s->model);
    opts.n_classes = nm_net_n_out(s->model);
    NM_TRY(nm_points_load(s->ctx, path_of(s, paths, set->points), path_of(s, paths, set->labels),
                          &opts, &all, err));
    if (set->rows) {
        NM_TRY(take_rows(set, &all, out, err));
    } else {
        *out = all;
        all = (nm_points){0};
    }
    rc = set_wanted(set, out, s->model->values[s->model->scores].size, err);
done:
    nm_points_free(&all);
    return rc;
}

/* -- what may change --------------------------------------------------------------------- */

const nm_tensor *nm_claimed_tensor(const nm_net *net, const nm_claim_tensor *t)
{
    const nm_layer *layer = &net->layers[t->layer];

    return net->values[t->bias ? layer->bias : layer->weight].constant;
}

static nm_status check_tensor(nm_check_state *s, const nm_net *net, const nm_claim_tensor *t,
                              nm_err *err)
{
    const int64_t *last = t->runs && t->n_runs > 0 ? t->runs + 2 * (t->n_runs - 1) : NULL;

    if (t->layer >= net->n_layers)
        return nm_fail(err, NM_E_SHAPE, "layer %d is claimed, but there are %d", t->layer,
                       net->n_layers);
    if (t->bias && net->layers[t->layer].bias < 0)
        return nm_fail(err, NM_E_SHAPE, "biases of layer %d are claimed, but it has none",
                       t->layer);
    if (net->layers[t->layer].locked)
        return nm_fail(err, NM_E_SHAPE, "layer %d is claimed, but cannot be edited: %s", t->layer,
                       net->layers[t->layer].locked);
    if (last && last[0] + last[1] > nm_claimed_tensor(net, t)->size)
        return nm_fail(err, NM_E_SHAPE, "entry %lld of layer %d is claimed, but it has %lld",
                       (long long)(last[0] + last[1] - 1), t->layer,
                       (long long)nm_claimed_tensor(net, t)->size);
    if (net == s->model)
        s->n_params += nm_claimed_tensor(net, t)->size;
    else if (nm_claimed_tensor(net, t)->size != nm_claimed_tensor(s->model, t)->size)
        return nm_fail(err, NM_E_SHAPE, "layer %d has other sizes in the two networks", t->layer);
    return NM_OK;
}

static nm_status load_property(nm_check_state *s, char *const *paths, nm_err *err)
{
    nm_status rc = nm_property_load(s->ctx, path_of(s, paths, "property"), &s->property, err);

    if (rc == NM_OK && (s->property->n_in != nm_net_n_in(s->model) ||
                        s->property->n_out != nm_net_n_out(s->model)))
        rc = nm_fail(err, NM_E_SHAPE, "the property and the network have other inputs or outputs");
    return rc;
}

/* -- all together ------------------------------------------------------------------------ */

nm_status nm_check_open(nm_ctx *ctx, const nm_claim *claim, char *const *paths, nm_check_state *out,
                        nm_err *err)
{
    nm_status rc = NM_OK;

    *out = (nm_check_state){.ctx = ctx, .claim = claim};
    for (int i = 0; i < claim->n_files; i++)
        NM_TRY(compare_hash(&claim->files[i], path_at(out, paths, i), out, err));
    NM_TRY(load_nets(out, paths, err));
    for (int i = 0; i < claim->n_tensors; i++) {
        NM_TRY(check_tensor(out, out->model, &claim->tensors[i], err));
        if (out->fixed)
            NM_TRY(check_tensor(out, out->fixed, &claim->tensors[i], err));
    }
    if (nm_claim_find_file(claim, "property"))
        NM_TRY(load_property(out, paths, err));
    for (int i = 0; i < NM_N_SETS; i++)
        if (claim->sets[i].points)
            NM_TRY(load_set(out, paths, &claim->sets[i], &out->sets[i], err));
done:
    return rc;
}

void nm_check_close(nm_check_state *s)
{
    nm_net_free(s->model);
    nm_net_free(s->fixed);
    nm_property_free(s->property);
    for (int i = 0; i < NM_N_SETS; i++)
        nm_points_free(&s->sets[i]);
    *s = (nm_check_state){0};
}
