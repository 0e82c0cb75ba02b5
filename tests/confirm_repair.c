#include "confirm_repair.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

enum { MODEL, FIXED, CLAIM, POINTS, LABELS, KEEP, KEEP_LABELS, N_FILES };

typedef struct folder {
    char path[64];
    char file[N_FILES][128];
} folder;

static nm_status open_folder(folder *f, nm_err *err)
{
    static const char *const names[N_FILES] = {"model.onnx", "fixed.onnx", "claim.json", "x.npy",
                                               "y.npy",      "keep_x.npy", "keep_y.npy"};

    char path[sizeof f->path] = "/tmp/nm-confirm-XXXXXX";

    if (!mkdtemp(path))
        return nm_fail(err, NM_E_IO, "%s: cannot make this folder: %s", path, strerror(errno));
    memcpy(f->path, path, sizeof path);
    for (int i = 0; i < N_FILES; i++)
        (void)snprintf(f->file[i], sizeof f->file[i], "%s/%s", path, names[i]);
    return NM_OK;
}

static void close_folder(const folder *f)
{
    for (int i = 0; i < N_FILES; i++)
        (void)unlink(f->file[i]);
    (void)rmdir(f->path);
}

/* Writes a set, and says where it is. */
static nm_status put_set(const nm_points *set, const int64_t *labels, const char *x, const char *y,
                         nm_claim_source *source, nm_err *err)
{
    nm_status rc = NM_OK;

    *source = (nm_claim_source){.points = source->points,
                                .points_path = x,
                                .labels = source->labels,
                                .labels_path = y,
                                .opts = NM_DATA_OPTS_INIT,
                                .wanted = -1};
    NM_TRY(nm_npy_write_f32(x, set->x, set->n, set->n_in, err));
    NM_TRY(nm_npy_write_i64(y, labels, set->n, err));
done:
    return rc;
}

static nm_status refuted(const nm_check_report *found, nm_err *err)
{
    for (int i = 0; i < found->n_statements; i++)
        if (!found->statements[i].confirmed)
            return nm_fail(err, NM_E_INTERNAL, "the checker refutes '%s': %s",
                           found->statements[i].what, found->statements[i].finding);
    return NM_OK;
}

static nm_status confirm_in(const folder *f, nm_ctx *ctx, const nm_repaired *r, nm_err *err)
{
    const nm_points *repair = r->task->repair, *keep = r->task->keep;
    nm_claim_facts facts = {.model_path = f->file[MODEL],
                            .fixed_path = f->file[FIXED],
                            .net = r->net,
                            .plan = r->plan,
                            .opts = r->opts,
                            .report = r->report,
                            .repair = {.points = "inputs", .labels = "labels"},
                            .keep = {.points = "keep", .labels = "keep-labels"}};
    nm_check_report found = {0};
    nm_status rc = NM_OK;

    NM_TRY(nm_net_save(ctx, r->net, f->file[MODEL], err));
    NM_TRY(nm_net_save(ctx, r->fixed, f->file[FIXED], err));
    NM_TRY(put_set(repair, r->task->targets ? r->task->targets : repair->labels, f->file[POINTS],
                   f->file[LABELS], &facts.repair, err));
    if (keep && keep->n > 0)
        NM_TRY(put_set(keep, keep->labels, f->file[KEEP], f->file[KEEP_LABELS], &facts.keep, err));
    else
        facts.keep = (nm_claim_source){0};
    NM_TRY(nm_claim_write(ctx, &facts, f->file[CLAIM], err));
    NM_TRY(nm_check(ctx, f->file[MODEL], f->file[FIXED], f->file[CLAIM], NULL, 0, &found, err));
    NM_TRY(refuted(&found, err));
done:
    nm_check_report_free(&found);
    return rc;
}

nm_status nm_confirm_repair(const nm_repaired *r, nm_err *err)
{
    folder f;
    nm_ctx *ctx = NULL;
    nm_status rc = NM_OK;

    if (r->report->outcome != NM_REPAIRED && r->report->outcome != NM_PARTLY)
        return NM_OK;
    NM_TRY(open_folder(&f, err));
    rc = nm_ctx_new(&ctx, err);
    if (rc == NM_OK)
        rc = confirm_in(&f, ctx, r, err);
    nm_ctx_free(ctx);
    close_folder(&f);
done:
    return rc;
}

nm_status nm_repair_confirmed(nm_ctx *ctx, const nm_net *net, const nm_plan *plan,
                              const nm_repair_task *task, const nm_repair_opts *opts,
                              const char *path, nm_net **fixed, nm_repair_report *report,
                              nm_err *err)
{
    nm_net *own = NULL, **result = fixed ? fixed : &own;
    nm_status rc = nm_repair(ctx, net, plan, task, opts, path, result, report, err);

    if (rc == NM_OK)
        rc = nm_confirm_repair(&(nm_repaired){.net = net,
                                              .fixed = *result,
                                              .plan = plan,
                                              .task = task,
                                              .opts = opts,
                                              .report = report},
                               err);
    nm_net_free(own);
    return rc;
}
