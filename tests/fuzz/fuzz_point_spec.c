/* Conditions at points, JSON: what is read must be a property of those points that makes sense. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "netmend/netmend.h"
#include "spec/property.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N_POINTS = 4, N_IN = 2, N_OUT = 3 };

static void check(const nm_property *p)
{
    if (p->n_in != N_IN || p->n_out != N_OUT || p->n_boxes > N_POINTS)
        abort();
    for (int64_t b = 0; b < p->n_boxes; b++) {
        const nm_in_box *box = &p->boxes[b];

        if (box->first_case < 0 || box->n_cases < 1 || box->first_case + box->n_cases > p->n_cases)
            abort();
        for (int64_t i = 0; i < N_IN; i++)
            if (box->lo_in[i] != box->hi_in[i])
                abort();
    }
    for (int64_t r = 0; r < p->n_rows; r++) {
        const nm_out_row *row = &p->rows[r];

        if (!(row->limit_in <= row->limit_out) || row->n_terms < 1)
            abort();
        for (int32_t k = 0; k < row->n_terms; k++)
            if (row->output[k] < 0 || row->output[k] >= N_OUT || row->coef[k] == 0)
                abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static float x[N_POINTS * N_IN] = {0, 1, -1, 0.5F, 2, 2, 0, 1};
    nm_points points = {.n = N_POINTS, .n_in = N_IN, .x = x};
    nm_property *p = NULL;
    nm_err err = {0};
    nm_ctx *ctx = NULL;
    char path[64];
    int file = memfd_create("spec", 0);

    if (file < 0 || write(file, data, size) != (ssize_t)size || nm_ctx_new(&ctx, &err) != NM_OK)
        abort();
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (nm_property_from_spec(ctx, path, &points, N_OUT, &p, &err) == NM_OK)
        check(p);
    nm_property_free(p);
    nm_ctx_free(ctx);
    (void)close(file);
    return 0;
}
