#include "base/mem.h"
#include "verify/prove.h"

void nm_region_proof_free(struct nm_region_proof *proof)
{
    nm_free(proof);
}
