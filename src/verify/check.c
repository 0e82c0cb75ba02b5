#include "verify/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/ctx.h"
#include "base/mem.h"

/* -- statements -------------------------------------------------------------------------- */

static const nm_check_fn checks[NM_N_CLAIMS] = {
    [NM_CLAIM_FILES] = nm_check_files,           [NM_CLAIM_ARCHITECTURE] = nm_check_architecture,
    [NM_CLAIM_REPAIR_SET] = nm_check_repair_set, [NM_CLAIM_KEEP_SET] = nm_check_keep_set,
    [NM_CLAIM_OPTIMALITY] = nm_check_optimality, [NM_CLAIM_INFEASIBLE] = nm_check_infeasible,
    [NM_CLAIM_TWINS] = nm_check_twins,           [NM_CLAIM_HOLDS] = nm_check_holds,
    [NM_CLAIM_VIOLATED] = nm_check_violated,
};

void nm_confirm(nm_check_statement *out, int64_t n, const char *fmt, ...)
{
    va_list args;

    out->confirmed = true;
    out->n = n;
    va_start(args, fmt);
    (void)vsnprintf(out->finding, sizeof out->finding, fmt, args);
    va_end(args);
}

static void refute(nm_check_statement *out, const nm_err *why)
{
    out->confirmed = false;
    (void)snprintf(out->finding, sizeof out->finding, "%.*s", (int)sizeof out->finding - 1,
                   why->text);
}

/* A reason in the files themselves, rather than a lack of memory or time. */
static bool is_refutation(nm_status rc)
{
    return rc == NM_E_ARG || rc == NM_E_SHAPE || rc == NM_E_UNSUPPORTED || rc == NM_E_FORMAT;
}

static nm_status check_statements(const nm_check_state *s, nm_check_report *report, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int i = 0; rc == NM_OK && i < s->claim->n_statements; i++) {
        const nm_claim_statement *claimed = &s->claim->statements[i];
        nm_err why = {0};

        nm_progress(s->ctx, nm_claim_whats[claimed->what], i, s->claim->n_statements, 0);
        rc = nm_ctx_check(s->ctx, err);
        if (rc == NM_OK)
            rc = checks[claimed->what](s, claimed, &report->statements[i], &why);
        if (is_refutation(rc)) {
            refute(&report->statements[i], &why);
            rc = NM_OK;
        } else if (why.code) {
            (void)nm_fail(err, rc, "%s", why.text);
        }
    }
    return rc;
}

/* The files cannot be made sense of; they are not those of the claim, so that is no wonder. */
static void refute_all(const nm_check_state *s, const nm_err *why, nm_check_report *report)
{
    for (int i = 0; i < report->n_statements; i++) {
        nm_check_statement *out = &report->statements[i];

        if (s->claim->statements[i].what == NM_CLAIM_FILES)
            (void)snprintf(out->finding, sizeof out->finding, "%s", s->differs);
        else
            (void)snprintf(out->finding, sizeof out->finding, "not checked: %.200s", why->text);
    }
}

/* -- where the files are ------------------------------------------------------------------ */

static nm_status join(const char *claim_path, const char *path, char **out, nm_err *err)
{
    const char *slash = strrchr(claim_path, '/');
    size_t folder = slash && path[0] != '/' ? (size_t)(slash - claim_path) + 1 : 0;
    size_t room = folder + strlen(path) + 1;
    nm_status rc = nm_alloc(out, room, 1, err);

    if (rc == NM_OK)
        (void)snprintf(*out, room, "%.*s%s", (int)folder, claim_path, path);
    return rc;
}

/* Beside the claim, else where the working folder says. */
static nm_status find_data(const char *claim_path, const nm_claim_file *f, char **out, nm_err *err)
{
    nm_status rc = join(claim_path, f->path, out, err);

    if (rc != NM_OK || access(*out, F_OK) == 0)
        return rc;
    nm_free(*out);
    *out = NULL;
    if (access(f->path, F_OK) != 0)
        return nm_fail(err, NM_E_IO,
                       "%s: file '%.200s' is neither beside the claim nor in the working folder; "
                       "say where it is with --data %s=FILE",
                       claim_path, f->path, f->name);
    return nm_strdup(out, f->path, err);
}

static nm_status find_file(const char *claim_path, const nm_claim_file *f, const char *model,
                           const char *fixed, const nm_check_file *files, int n_files, char **out,
                           nm_err *err)
{
    if (strcmp(f->name, "model") == 0)
        return nm_strdup(out, model, err);
    if (strcmp(f->name, "fixed") == 0) {
        if (!fixed || strcmp(fixed, "-") == 0)
            return nm_fail(err, NM_E_ARG,
                           "%s: speaks of a repaired network, expected its file for FIXED",
                           claim_path);
        return nm_strdup(out, fixed, err);
    }
    for (int i = 0; i < n_files; i++)
        if (strcmp(files[i].name, f->name) == 0)
            return nm_strdup(out, files[i].path, err);
    return find_data(claim_path, f, out, err);
}

static nm_status check_overrides(const nm_claim *claim, const nm_check_file *files, int n_files,
                                 nm_err *err)
{
    for (int i = 0; i < n_files; i++)
        if (!nm_claim_find_file(claim, files[i].name) || strcmp(files[i].name, "model") == 0 ||
            strcmp(files[i].name, "fixed") == 0)
            return nm_fail(err, NM_E_ARG, "the claim names no data file '%.80s'", files[i].name);
    return NM_OK;
}

/* -- the whole ---------------------------------------------------------------------------- */

static nm_status load_claim(const char *path, nm_claim *out, nm_err *err)
{
    nm_buffer text = {0};
    nm_status rc = nm_file_read(path, NM_MAX_CLAIM_BYTES, &text, err);

    if (rc != NM_OK)
        return rc;
    rc = nm_claim_parse((const char *)text.data, text.n_bytes, out, err);
    nm_buffer_free(&text);
    if (rc == NM_OK && (out->n_statements == 0 || out->statements[0].what != NM_CLAIM_FILES))
        rc = nm_fail(err, NM_E_FORMAT, "the first statement is not 'files'");
    if (rc != NM_OK)
        nm_err_prefix(err, "%s: ", path);
    return rc;
}

static nm_status open_report(const nm_claim *claim, nm_check_report *report, nm_err *err)
{
    nm_status rc =
        nm_alloc(&report->statements, (size_t)claim->n_statements, sizeof *report->statements, err);

    if (rc != NM_OK)
        return rc;
    report->n_statements = claim->n_statements;
    for (int i = 0; i < claim->n_statements; i++)
        report->statements[i].what = nm_claim_whats[claim->statements[i].what];
    return NM_OK;
}

static nm_status check_files_and_statements(nm_ctx *ctx, const nm_claim *claim, char *const *paths,
                                            nm_check_report *report, nm_err *err)
{
    nm_check_state s;
    nm_err why = {0};
    nm_status rc = nm_check_open(ctx, claim, paths, &s, &why);

    if (rc == NM_OK)
        rc = check_statements(&s, report, err);
    else if (is_refutation(rc) && s.differs[0]) {
        refute_all(&s, &why, report);
        rc = NM_OK;
    } else {
        rc = rc == NM_E_ARG ? NM_E_FORMAT : rc; /* what makes no sense stands in the claim */
        (void)nm_fail(err, rc, "%s", why.text);
    }
    report->confirmed = rc == NM_OK && report->n_statements > 0;
    for (int i = 0; i < report->n_statements; i++)
        report->confirmed = report->confirmed && report->statements[i].confirmed;
    nm_check_close(&s);
    return rc;
}

nm_status nm_check(nm_ctx *ctx, const char *model, const char *fixed, const char *claim_path,
                   const nm_check_file *files, int n_files, nm_check_report *report, nm_err *err)
{
    nm_err local = {0};
    nm_status rc = NM_OK;
    nm_claim claim = {0};
    char **paths = NULL;

    err = err ? err : &local;
    memset(report, 0, sizeof *report);
    NM_TRY(load_claim(claim_path, &claim, err));
    NM_TRY(check_overrides(&claim, files, n_files, err));
    NM_TRY(nm_alloc(&paths, (size_t)claim.n_files, sizeof *paths, err));
    for (int i = 0; i < claim.n_files; i++)
        NM_TRY(
            find_file(claim_path, &claim.files[i], model, fixed, files, n_files, &paths[i], err));
    NM_TRY(open_report(&claim, report, err));
    rc = check_files_and_statements(ctx, &claim, paths, report, err);
    if (rc == NM_E_SHAPE || rc == NM_E_FORMAT)
        nm_err_prefix(err, "%s: ", claim_path);
done:
    for (int i = 0; paths && i < claim.n_files; i++)
        nm_free(paths[i]);
    nm_free(paths);
    nm_claim_free(&claim);
    if (rc != NM_OK)
        nm_check_report_free(report);
    return rc;
}

void nm_check_report_free(nm_check_report *report)
{
    nm_free(report->statements);
    *report = (nm_check_report){0};
}
