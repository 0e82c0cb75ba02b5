/* VNN-LIB text: what is read must be a property that makes sense. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/vnnlib.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const nm_property *p)
{
    int64_t n_cases = 0;

    for (int64_t b = 0; b < p->n_boxes; b++) {
        const nm_in_box *box = &p->boxes[b];

        for (int64_t i = 0; i < p->n_in; i++) {
            if (!(box->lo_out[i] <= box->hi_out[i]) || !isfinite(box->lo_out[i] - box->hi_out[i]))
                if (fabs(box->lo_out[i]) < 1e300 && fabs(box->hi_out[i]) < 1e300)
                    abort();
            if ((double)box->lo_in[i] < box->lo_out[i] || (double)box->hi_in[i] > box->hi_out[i])
                abort();
        }
        if (box->first_case != n_cases || box->n_cases < 1)
            abort();
        n_cases += box->n_cases;
    }
    if (n_cases != p->n_cases)
        abort();
    for (int64_t r = 0; r < p->n_rows; r++) {
        const nm_out_row *row = &p->rows[r];

        if (!(row->limit_in <= row->limit_out) || row->n_terms < 1)
            abort();
        for (int32_t k = 0; k < row->n_terms; k++)
            if (row->output[k] < 0 || row->output[k] >= p->n_out || row->coef[k] == 0)
                abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nm_buffer file = {.data = (unsigned char *)(uintptr_t)data, .n_bytes = size};
    nm_property *p = NULL;
    nm_err err = {0};

    if (nm_vnnlib_read(&file, &p, &err) == NM_OK)
        check(p);
    nm_property_free(p);
    return 0;
}
