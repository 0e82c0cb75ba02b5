#include "verify/json.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

nm_status nm_json_hash(const json_t *object, char *hex, nm_err *err)
{
    char *text = json_dumps(object, JSON_SORT_KEYS | JSON_COMPACT | JSON_REAL_PRECISION(17));

    if (!text)
        return nm_fail(err, NM_E_NOMEM, "out of memory");
    nm_sha256(text, strlen(text), hex);
    free(text);
    return NM_OK;
}

/* What stands under a key must be of the kind named. */
static nm_status wrong(const json_t *found, const char *key, const char *expected, nm_err *err)
{
    return nm_fail(err, NM_E_FORMAT, "'%s' is %s, expected %s", key,
                   found ? "something else" : "missing", expected);
}

nm_status nm_json_object(const json_t *o, const char *key, const json_t **out, nm_err *err)
{
    *out = json_object_get(o, key);
    return json_is_object(*out) ? NM_OK : wrong(*out, key, "an object", err);
}

nm_status nm_json_array(const json_t *o, const char *key, const json_t **out, nm_err *err)
{
    *out = json_object_get(o, key);
    return json_is_array(*out) ? NM_OK : wrong(*out, key, "a list", err);
}

nm_status nm_json_text(const json_t *o, const char *key, const char **out, nm_err *err)
{
    const json_t *value = json_object_get(o, key);

    *out = json_string_value(value);
    return *out ? NM_OK : wrong(value, key, "text", err);
}

nm_status nm_json_bool(const json_t *o, const char *key, bool *out, nm_err *err)
{
    const json_t *value = json_object_get(o, key);

    *out = json_is_true(value);
    return json_is_boolean(value) ? NM_OK : wrong(value, key, "true or false", err);
}

nm_status nm_json_int(const json_t *o, const char *key, int64_t lo, int64_t hi, int64_t *out,
                      nm_err *err)
{
    const json_t *value = json_object_get(o, key);

    if (!json_is_integer(value))
        return wrong(value, key, "an integer", err);
    *out = (int64_t)json_integer_value(value);
    if (*out < lo || *out > hi)
        return nm_fail(err, NM_E_FORMAT, "'%s' is %lld, expected %lld to %lld", key,
                       (long long)*out, (long long)lo, (long long)hi);
    return NM_OK;
}

nm_status nm_json_number(const json_t *o, const char *key, double if_null, double *out, nm_err *err)
{
    const json_t *value = json_object_get(o, key);

    if (json_is_null(value) && !isnan(if_null)) {
        *out = if_null;
        return NM_OK;
    }
    *out = json_number_value(value);
    return json_is_number(value) && isfinite(*out) ? NM_OK : wrong(value, key, "a number", err);
}

nm_status nm_json_word(const json_t *o, const char *key, const char *const *words, int *out,
                       nm_err *err)
{
    const char *text;
    nm_status rc = nm_json_text(o, key, &text, err);

    if (rc != NM_OK)
        return rc;
    for (*out = 0; words[*out]; ++*out)
        if (strcmp(words[*out], text) == 0)
            return NM_OK;
    return nm_fail(err, NM_E_FORMAT, "'%s' is '%.40s', which this version does not know", key,
                   text);
}

static nm_status ints_of_entry(const json_t *entry, const char *key, int64_t width, int64_t *out,
                               nm_err *err)
{
    if (width > 1 && (!json_is_array(entry) || (int64_t)json_array_size(entry) != width))
        return nm_fail(err, NM_E_FORMAT, "'%s' has an entry that is no list of %lld integers", key,
                       (long long)width);
    for (int64_t i = 0; i < width; i++) {
        const json_t *number = width > 1 ? json_array_get(entry, (size_t)i) : entry;

        if (!json_is_integer(number))
            return nm_fail(err, NM_E_FORMAT, "'%s' has an entry that is no integer", key);
        out[i] = (int64_t)json_integer_value(number);
    }
    return NM_OK;
}

nm_status nm_json_ints(const json_t *o, const char *key, int64_t width, int64_t **out, int64_t *n,
                       nm_err *err)
{
    const json_t *array;
    nm_status rc = nm_json_array(o, key, &array, err);

    if (rc != NM_OK)
        return rc;
    *n = (int64_t)json_array_size(array);
    rc = nm_alloc(out, (size_t)*n, (size_t)width * sizeof **out, err);
    for (int64_t i = 0; rc == NM_OK && i < *n; i++)
        rc = ints_of_entry(json_array_get(array, (size_t)i), key, width, *out + i * width, err);
    return rc;
}

nm_status nm_json_numbers(const json_t *o, const char *key, double **out, int64_t *n, nm_err *err)
{
    const json_t *array;
    nm_status rc = nm_json_array(o, key, &array, err);

    if (rc != NM_OK)
        return rc;
    *n = (int64_t)json_array_size(array);
    rc = nm_alloc(out, (size_t)*n, sizeof **out, err);
    for (int64_t i = 0; rc == NM_OK && i < *n; i++) {
        const json_t *number = json_array_get(array, (size_t)i);

        (*out)[i] = json_number_value(number);
        if (!json_is_number(number) || !isfinite((*out)[i]))
            rc = nm_fail(err, NM_E_FORMAT, "'%s' has an entry that is no number", key);
    }
    return rc;
}
