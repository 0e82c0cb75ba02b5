/* What a repair did to classes, single points and the decision regions. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "netmend/eval.h"
#include "report/boundary.h"
#include "report/html.h"
#include "report/image.h"
#include "report/json.h"

enum { MAX_REPAIR_SHOWN = 24, MAX_BROKEN_SHOWN = 12, MAX_CONFUSIONS = 15 };

/* Points with what the networks say of them. */
typedef struct judged {
    const nm_points *points;
    const int64_t *labels;
    int64_t *before, *after;
} judged;

typedef struct scene {
    nm_ctx *ctx;
    const nm_net *nets[2];
    int64_t n_classes;
    nm_image_shape shape;
    json_t *out;
} scene;

/* -- evaluation -------------------------------------------------------------------------------- */

static nm_status check_labels(const scene *s, const judged *j, nm_err *err)
{
    for (int64_t i = 0; i < j->points->n; i++)
        if (j->labels[i] < 0 || j->labels[i] >= s->n_classes)
            return nm_fail(err, NM_E_ARG,
                           "report: point %" PRId64 " has label %" PRId64
                           ", expected 0 to %" PRId64,
                           i, j->labels[i], s->n_classes - 1);
    return NM_OK;
}

static nm_status judge(const scene *s, const nm_points *points, const int64_t *labels, judged *out,
                       nm_err *err)
{
    nm_status rc = NM_OK;

    *out = (judged){.points = points, .labels = labels};
    NM_TRY(check_labels(s, out, err));
    NM_TRY(nm_alloc(&out->before, (size_t)points->n, sizeof *out->before, err));
    NM_TRY(nm_alloc(&out->after, (size_t)points->n, sizeof *out->after, err));
    NM_TRY(nm_predict(s->ctx, s->nets[0], points->x, points->n, out->before, err));
    NM_TRY(nm_predict(s->ctx, s->nets[1], points->x, points->n, out->after, err));
done:
    return rc;
}

static void judged_free(judged *j)
{
    nm_free(j->before);
    nm_free(j->after);
}

/* -- classes ----------------------------------------------------------------------------------- */

static void put_int(json_t *o, const char *key, int64_t v)
{
    json_object_set_new(o, key, json_integer((json_int_t)v));
}

static nm_status put_classes(const scene *s, const judged *j, nm_err *err)
{
    int64_t *counts = NULL;
    json_t *list;
    nm_status rc = nm_alloc(&counts, (size_t)s->n_classes, 3 * sizeof *counts, err);

    if (rc != NM_OK)
        return rc;
    for (int64_t i = 0; i < j->points->n; i++) {
        int64_t *of = counts + 3 * j->labels[i];

        of[0]++;
        of[1] += j->before[i] == j->labels[i];
        of[2] += j->after[i] == j->labels[i];
    }
    list = json_array();
    for (int64_t c = 0; c < s->n_classes; c++) {
        json_t *o = json_object();

        if (counts[3 * c] > 0)
            json_array_append(list, o);
        put_int(o, "class", c);
        put_int(o, "n", counts[3 * c]);
        put_int(o, "right_before", counts[3 * c + 1]);
        put_int(o, "right_after", counts[3 * c + 2]);
        json_decref(o);
    }
    json_object_set_new(s->out, "classes", list);
    nm_free(counts);
    return NM_OK;
}

/* A wrong answer: what was to be said, what was, and how often before and after. */
typedef struct confusion {
    int64_t label, predicted, before, after;
} confusion;

static int64_t gap(const confusion *c)
{
    return llabs(c->after - c->before);
}

static int by_pair(const void *a_memory, const void *b_memory)
{
    const confusion *a = a_memory, *b = b_memory;

    if (a->label != b->label)
        return a->label < b->label ? -1 : 1;
    return (a->predicted > b->predicted) - (a->predicted < b->predicted);
}

/* Largest change first, then as by_pair. */
static int by_change(const void *a_memory, const void *b_memory)
{
    int64_t a = gap(a_memory), b = gap(b_memory);

    return a != b ? (a < b ? 1 : -1) : by_pair(a_memory, b_memory);
}

/* One entry for each wrong answer; equal ones are then put together. @return how many there are */
static int64_t list_confusions(const judged *j, confusion *list)
{
    int64_t n = 0, n_pairs = 0;

    for (int64_t i = 0; i < j->points->n; i++) {
        if (j->before[i] != j->labels[i])
            list[n++] = (confusion){j->labels[i], j->before[i], 1, 0};
        if (j->after[i] != j->labels[i])
            list[n++] = (confusion){j->labels[i], j->after[i], 0, 1};
    }
    qsort(list, (size_t)n, sizeof *list, by_pair);
    for (int64_t i = 0; i < n; i++) {
        if (n_pairs > 0 && by_pair(&list[n_pairs - 1], &list[i]) == 0) {
            list[n_pairs - 1].before += list[i].before;
            list[n_pairs - 1].after += list[i].after;
        } else {
            list[n_pairs++] = list[i];
        }
    }
    qsort(list, (size_t)n_pairs, sizeof *list, by_change);
    return n_pairs;
}

static nm_status put_confusions(const scene *s, const judged *j, nm_err *err)
{
    confusion *list = NULL;
    json_t *array;
    int64_t n;
    nm_status rc = nm_alloc(&list, 2 * (size_t)j->points->n, sizeof *list, err);

    if (rc != NM_OK)
        return rc;
    n = list_confusions(j, list);
    array = json_array();
    for (int64_t i = 0; i < n && i < MAX_CONFUSIONS && gap(&list[i]) > 0; i++) {
        json_t *o = json_object();

        put_int(o, "label", list[i].label);
        put_int(o, "predicted", list[i].predicted);
        put_int(o, "before", list[i].before);
        put_int(o, "after", list[i].after);
        json_array_append_new(array, o);
    }
    json_object_set_new(s->out, "confusions", array);
    nm_free(list);
    return NM_OK;
}

static nm_status put_repair_classes(const scene *s, const judged *repair, nm_err *err)
{
    int64_t *counts = NULL;
    json_t *list;
    nm_status rc = nm_alloc(&counts, (size_t)s->n_classes, sizeof *counts, err);

    if (rc != NM_OK)
        return rc;
    for (int64_t i = 0; i < repair->points->n; i++)
        counts[repair->labels[i]]++;
    list = json_array();
    for (int64_t c = 0; c < s->n_classes; c++)
        if (counts[c] > 0)
            json_array_append_new(
                list, json_pack("{s:I, s:I}", "class", (json_int_t)c, "n", (json_int_t)counts[c]));
    json_object_set_new(s->out, "repair_classes", list);
    nm_free(counts);
    return NM_OK;
}

/* -- single points ----------------------------------------------------------------------------- */

/* Bytes as a base64 JSON string. */
static nm_status encode(const void *data, size_t n, json_t **out, nm_err *err)
{
    char *text = NULL;
    size_t n_text = 0;
    FILE *to = open_memstream(&text, &n_text);
    bool bad = !to;

    if (to) {
        nm_html_base64(to, data, n);
        bad = ferror(to) != 0;
        bad = fclose(to) != 0 || bad;
    }
    *out = bad ? NULL : json_stringn(text, n_text);
    free(text);
    return *out ? NM_OK : nm_fail(err, NM_E_NOMEM, "out of memory");
}

static nm_status put_point(const scene *s, const judged *j, int64_t i, const char *set,
                           json_t *list, nm_err *err)
{
    const nm_points *points = j->points;
    json_t *o = json_object(), *png;
    nm_buffer image;
    nm_status rc = NM_OK;

    json_object_set_new(o, "set", json_string(set));
    put_int(o, "row", points->rows ? points->rows[i] : i);
    put_int(o, "label", j->labels[i]);
    put_int(o, "before", j->before[i]);
    put_int(o, "after", j->after[i]);
    json_array_append_new(list, o);
    if (s->shape.width == 0)
        return NM_OK;
    NM_TRY(nm_image_png(&s->shape, points->x + i * points->n_in, &image, err));
    rc = encode(image.data, image.n_bytes, &png, err);
    nm_buffer_free(&image);
    if (rc == NM_OK)
        json_object_set_new(o, "png", png);
done:
    return rc;
}

/* Evenly spaced where there are too many. */
static nm_status put_repair_points(const scene *s, const judged *repair, json_t *list, nm_err *err)
{
    int64_t n = repair->points->n, n_shown = n < MAX_REPAIR_SHOWN ? n : MAX_REPAIR_SHOWN;
    nm_status rc = NM_OK;

    for (int64_t k = 0; rc == NM_OK && k < n_shown; k++)
        rc = put_point(s, repair, k * n / n_shown, "repair", list, err);
    return rc;
}

static nm_status put_broken_points(const scene *s, const judged *test, json_t *list, nm_err *err)
{
    int n_shown = 0;
    nm_status rc = NM_OK;

    for (int64_t i = 0; rc == NM_OK && i < test->points->n && n_shown < MAX_BROKEN_SHOWN; i++)
        if (test->before[i] == test->labels[i] && test->after[i] != test->labels[i]) {
            rc = put_point(s, test, i, "broken", list, err);
            n_shown++;
        }
    return rc;
}

/* -- regions ----------------------------------------------------------------------------------- */

static nm_status put_boundary(const scene *s, const nm_points *points, const nm_points *repair,
                              nm_err *err)
{
    char *text = NULL;
    size_t n_text = 0;
    json_t *encoded;
    FILE *to = open_memstream(&text, &n_text);
    nm_status rc;

    if (!to)
        return nm_fail(err, NM_E_NOMEM, "out of memory");
    rc = nm_boundary_write(s->ctx, s->nets[0], s->nets[1], points, repair, to, err);
    if (fclose(to) != 0 && rc == NM_OK)
        rc = nm_fail(err, NM_E_NOMEM, "out of memory");
    if (rc == NM_OK)
        rc = encode(text, n_text, &encoded, err);
    if (rc == NM_OK)
        json_object_set_new(s->out, "boundary_svg", encoded);
    free(text);
    return rc;
}

/* -- all together ------------------------------------------------------------------------------ */

static nm_status fill(const scene *s, const nm_repair_task *task, nm_err *err)
{
    bool tests = task->test && task->test->n > 0 && task->test->labels;
    bool keeps = task->keep && task->keep->n > 0 && task->keep->labels;
    const nm_points *test = tests ? task->test : keeps ? task->keep : task->repair;
    nm_points wanted = *task->repair;
    judged repair = {0}, measured = {0};
    json_t *list = json_array();
    nm_status rc = NM_OK;

    if (task->targets)
        wanted.labels = (int64_t *)task->targets; /* only read */
    if (test == task->repair)
        test = &wanted;
    json_object_set_new(s->out, "measured_on",
                        json_string(tests   ? "test"
                                    : keeps ? "keep"
                                            : "repair"));
    json_object_set(s->out, "points", list);
    NM_TRY(judge(s, &wanted, wanted.labels, &repair, err));
    NM_TRY(judge(s, test, test->labels, &measured, err));
    NM_TRY(put_classes(s, &measured, err));
    NM_TRY(put_confusions(s, &measured, err));
    NM_TRY(put_repair_classes(s, &repair, err));
    NM_TRY(put_repair_points(s, &repair, list, err));
    if (tests || keeps)
        NM_TRY(put_broken_points(s, &measured, list, err));
    if (wanted.n_in == 2 && s->n_classes >= 2 && s->n_classes <= NM_BOUNDARY_MAX_CLASSES)
        NM_TRY(put_boundary(s, test, &wanted, err));
done:
    json_decref(list);
    judged_free(&repair);
    judged_free(&measured);
    return rc;
}

nm_status nm_report_details(nm_ctx *ctx, const nm_net *before, const nm_net *after,
                            const nm_repair_task *task, char **json, nm_err *err)
{
    scene s = {.ctx = ctx,
               .nets = {before, after},
               .n_classes = nm_net_n_out(before),
               .shape = nm_image_shape_of(before)};
    nm_status rc;

    *json = NULL;
    if (nm_net_n_in(before) != nm_net_n_in(after) || nm_net_n_out(after) != s.n_classes)
        return nm_fail(err, NM_E_SHAPE,
                       "report: the network has %" PRId64 " inputs and %" PRId64
                       " outputs before, %" PRId64 " and %" PRId64 " after, expected as many",
                       nm_net_n_in(before), s.n_classes, nm_net_n_in(after), nm_net_n_out(after));
    s.out = json_object();
    rc = fill(&s, task, err);
    if (rc != NM_OK) {
        json_decref(s.out);
        return rc;
    }
    *json = nm_json_take_text(s.out);
    return *json ? NM_OK : nm_fail(err, NM_E_NOMEM, "out of memory");
}
