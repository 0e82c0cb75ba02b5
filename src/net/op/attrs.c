/* Reading attributes of ONNX nodes, with messages that name the attribute. */
#include <math.h>
#include <string.h>

#include "net/op.h"

const nm_attr_value *nm_node_attr(const nm_node_view *node, const char *name)
{
    for (size_t i = 0; i < node->n_attrs; i++)
        if (strcmp(node->attrs[i].name, name) == 0)
            return &node->attrs[i];
    return NULL;
}

static nm_status wrong_type(const char *name, const char *expected, nm_err *err)
{
    return nm_fail(err, NM_E_FORMAT, "attribute '%s' is of another type, expected %s", name,
                   expected);
}

nm_status nm_node_int(const nm_node_view *node, const char *name, int64_t fallback, int64_t *out,
                      nm_err *err)
{
    const nm_attr_value *attr = nm_node_attr(node, name);

    *out = fallback;
    if (!attr)
        return NM_OK;
    if (attr->type != NM_ATTR_INT)
        return wrong_type(name, "an integer", err);
    *out = attr->i;
    return NM_OK;
}

nm_status nm_node_float(const nm_node_view *node, const char *name, double fallback, double *out,
                        nm_err *err)
{
    const nm_attr_value *attr = nm_node_attr(node, name);

    *out = fallback;
    if (!attr)
        return NM_OK;
    if (attr->type != NM_ATTR_FLOAT)
        return wrong_type(name, "a float", err);
    if (!isfinite(attr->f))
        return nm_fail(err, NM_E_FORMAT, "attribute '%s' is %g, expected a finite number", name,
                       attr->f);
    *out = attr->f;
    return NM_OK;
}

nm_status nm_node_ints(const nm_node_view *node, const char *name, int64_t *out, size_t room,
                       size_t *n, nm_err *err)
{
    const nm_attr_value *attr = nm_node_attr(node, name);

    *n = 0;
    if (!attr)
        return NM_OK;
    if (attr->type != NM_ATTR_INTS)
        return wrong_type(name, "a list of integers", err);
    if (attr->n > room)
        return nm_fail(err, NM_E_FORMAT, "attribute '%s' has %zu values, expected at most %zu",
                       name, attr->n, room);
    for (size_t i = 0; i < attr->n; i++)
        out[i] = attr->ints[i];
    *n = attr->n;
    return NM_OK;
}

nm_status nm_node_string(const nm_node_view *node, const char *name, const char *fallback,
                         const char **out, nm_err *err)
{
    const nm_attr_value *attr = nm_node_attr(node, name);

    *out = fallback;
    if (!attr)
        return NM_OK;
    if (attr->type != NM_ATTR_STRING)
        return wrong_type(name, "a string", err);
    *out = attr->s;
    return NM_OK;
}
