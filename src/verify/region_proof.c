#include "verify/region_proof.h"

#include "base/mem.h"

void nm_region_proof_clear(nm_region_proof *proof)
{
    nm_free(proof->steps);
    nm_free(proof->numbers);
    nm_free(proof->ints);
    nm_free(proof->floats);
    nm_free(proof->bytes);
    *proof = (nm_region_proof){0};
}

void nm_region_proof_free(nm_region_proof *proof)
{
    if (proof)
        nm_region_proof_clear(proof);
    nm_free(proof);
}

/* Room for one more. */
static bool grow(nm_region_proof *p, void *list, int64_t n, int64_t *room, size_t size)
{
    nm_err ignored = {0};
    int64_t more = 2 * *room + 256;

    if (p->incomplete)
        return false;
    if (n < *room)
        return true;
    if (nm_realloc(list, (size_t)more, size, &ignored) != NM_OK) {
        p->incomplete = true;
        return false;
    }
    *room = more;
    return true;
}

void nm_proof_int(nm_region_proof *p, int32_t v)
{
    if (grow(p, &p->ints, p->n_ints, &p->room_ints, sizeof *p->ints))
        p->ints[p->n_ints++] = v;
}

void nm_proof_float(nm_region_proof *p, float v)
{
    if (grow(p, &p->floats, p->n_floats, &p->room_floats, sizeof *p->floats))
        p->floats[p->n_floats++] = v;
}

void nm_proof_byte(nm_region_proof *p, unsigned char v)
{
    if (grow(p, &p->bytes, p->n_bytes, &p->room_bytes, 1))
        p->bytes[p->n_bytes++] = v;
}
