#include "verify/region_proof.h"

#include "base/mem.h"

void nm_region_proof_free(nm_region_proof *proof)
{
    if (!proof)
        return;
    nm_free(proof->steps);
    nm_free(proof->numbers);
    nm_free(proof);
}
