/* Any bytes read as a claim give one or an error. A claim that was read is written so that it reads
   back, and then carries the hash of its content. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "verify/claim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_proof(const nm_claim_proof *p)
{
    for (int64_t i = 0; i < p->n_points; i++)
        if (p->points[i].first < 0 || p->points[i].n < 0 ||
            p->points[i].first + p->points[i].n > p->n_rows)
            abort();
    for (int64_t r = 0; r < p->n_rows; r++)
        if (!(p->rows[r].y >= 0))
            abort();
}

static void check_round_trip(const nm_claim *claim)
{
    nm_err err = {0};
    nm_buffer text;
    nm_claim back;
    char path[64];

    (void)snprintf(path, sizeof path, "/tmp/nm-fuzz-claim-%ld.json", (long)getpid());
    if (nm_claim_save(claim, path, &err) != NM_OK ||
        nm_file_read(path, NM_MAX_CLAIM_BYTES, &text, &err) != NM_OK ||
        nm_claim_parse((const char *)text.data, text.n_bytes, &back, &err) != NM_OK)
        abort();
    if (!back.is_intact || back.n_statements != claim->n_statements)
        abort();
    (void)unlink(path);
    nm_claim_free(&back);
    nm_buffer_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nm_err err = {0};
    nm_claim claim;
    nm_status rc = nm_claim_parse((const char *)data, size, &claim, &err);

    if (rc == NM_OK) {
        for (int i = 0; i < claim.n_statements; i++)
            check_proof(&claim.statements[i].proof);
        check_round_trip(&claim);
    } else if (err.text[0] == 0 || rc == NM_E_INTERNAL) {
        abort();
    }
    nm_claim_free(&claim);
    return 0;
}
