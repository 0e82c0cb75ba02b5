#include "base/mem.h"
#include "net/graph.h"

nm_status nm_tensor_new(nm_tensor **out, const nm_shape *shape, nm_dtype dtype, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_tensor *tensor = NULL;
    size_t size;

    *out = NULL;
    NM_TRY(nm_shape_check(shape, "tensor", err));
    NM_TRY(nm_alloc(&tensor, 1, sizeof *tensor, err));
    tensor->n_refs = 1;
    tensor->shape = *shape;
    tensor->dtype = dtype;
    tensor->size = nm_shape_size(shape);
    size = (size_t)tensor->size;
    NM_TRY(nm_alloc(&tensor->f64, size, sizeof *tensor->f64, err));
    NM_TRY(nm_alloc(&tensor->f32, size, sizeof *tensor->f32, err));
    *out = tensor;
    tensor = NULL;
done:
    nm_tensor_unref(tensor);
    return rc;
}

nm_tensor *nm_tensor_ref(nm_tensor *tensor)
{
    __atomic_add_fetch(&tensor->n_refs, 1, __ATOMIC_RELAXED);
    return tensor;
}

void nm_tensor_unref(nm_tensor *tensor)
{
    if (!tensor || __atomic_sub_fetch(&tensor->n_refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    nm_free(tensor->f64);
    nm_free(tensor->f32);
    nm_free(tensor);
}
