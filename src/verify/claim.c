#include "verify/claim.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

const char *const nm_claim_whats[] = {
    "files",      "architecture", "repair_set",     "keep_set",          "optimality",
    "infeasible", "twins",        "property_holds", "property_violated", NULL};
const char *const nm_claim_sets[] = {"repair", "keep", NULL};
const char *const nm_claim_pieces_words[] = {"any", "model", "fixed", NULL};
const char *const nm_claim_norms[] = {"linf+l1n", "linf", "l1", "l2", NULL};
const char *const nm_claim_safes[] = {"any-order", "probable", "none", NULL};

nm_status nm_claim_add_file(nm_claim *claim, const char *name, const char *path, nm_err *err)
{
    nm_claim_file *f = &claim->files[claim->n_files];
    nm_status rc = NM_OK;

    if (!path)
        return NM_OK;
    claim->n_files++;
    NM_TRY(nm_strdup(&f->name, name, err));
    NM_TRY(nm_strdup(&f->path, path, err));
    NM_TRY(nm_sha256_file(path, f->sha256, &f->n_bytes, err));
done:
    return rc;
}

const nm_claim_file *nm_claim_find_file(const nm_claim *claim, const char *name)
{
    for (int i = 0; i < claim->n_files; i++)
        if (strcmp(claim->files[i].name, name) == 0)
            return &claim->files[i];
    return NULL;
}

static void free_set(nm_claim_set *set)
{
    nm_free(set->points);
    nm_free(set->labels);
    nm_free(set->mean);
    nm_free(set->std);
    nm_free(set->rows);
}

void nm_claim_free(nm_claim *claim)
{
    for (int i = 0; claim->files && i < claim->n_files; i++) {
        nm_free(claim->files[i].name);
        nm_free(claim->files[i].path);
    }
    for (int i = 0; i < NM_N_SETS; i++)
        free_set(&claim->sets[i]);
    for (int i = 0; claim->tensors && i < claim->n_tensors; i++)
        nm_free(claim->tensors[i].runs);
    for (int i = 0; claim->statements && i < claim->n_statements; i++) {
        nm_free(claim->statements[i].points);
        nm_free(claim->statements[i].proof.points);
        nm_free(claim->statements[i].proof.rows);
        nm_free(claim->statements[i].x);
        for (int64_t r = 0; r < claim->statements[i].n_regions; r++)
            nm_region_proof_clear(&claim->statements[i].regions[r]);
        nm_free(claim->statements[i].regions);
    }
    nm_free(claim->files);
    nm_free(claim->tensors);
    nm_free(claim->statements);
    memset(claim, 0, sizeof *claim);
}
