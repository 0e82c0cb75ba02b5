/* Claim files: written, read back, edited, damaged. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "verify/claim.h"

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* Every key once; %s marks where the cases put something else. */
static const char *const parts[] = {
    "{\"format\":\"netmend-claim/1\",\"version\":\"0.1.0\",\"files\":[{\"name\":\"model\",\"file\":"
    "\"m.onnx\",\"bytes\":10,\"sha256\":\"" HASH "\"},{\"name\":\"x\",\"file\":\"x.npy\",\"bytes\":"
    "5,\"sha256\":\"" HASH "\"}],\"sets\":{\"repair\":",
    "{\"points\":\"x\",\"labels\":null,\"first\":0,\"last\":-1,\"scale\":0,\"mean\":[0.5],\"std\":"
    "[2],\"label_column\":-1,\"wanted\":-1,\"rows\":[0,3,4]}",
    "},\"edit\":",
    "{\"lo\":null,\"hi\":0.25,\"tensors\":[{\"layer\":1,\"tensor\":\"weights\",\"free\":[[0,2],[5,"
    "1]"
    "]},{\"layer\":1,\"tensor\":\"biases\",\"free\":null}]}",
    ",\"statements\":[{\"what\":\"files\"},",
    "{\"what\":\"repair_set\",\"points\":null,\"margin\":0.5,\"safe\":\"any-order\",\"n_any_"
    "order\":"
    "3,\"n_first_order\":3,\"n_probable\":3}",
    "],\"sha256\":\"" HASH "\"}"};

static char *claim_with(size_t part, const char *text)
{
    static char out[8192];

    out[0] = '\0';
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        (void)strncat(out, i == part ? text : parts[i], sizeof out - strlen(out) - 1);
    return out;
}

static void a_claim_is_read(void **state)
{
    const char *text = claim_with(99, NULL);
    nm_claim c;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_claim_parse(text, strlen(text), &c, &err), &err);
    assert_false(c.is_intact); /* the hash is made up */
    assert_int_equal(c.n_files, 2);
    assert_int_equal(c.sets[0].n_rows, 3);
    assert_int_equal(c.sets[0].opts.label_column, -1);
    assert_true(c.sets[0].opts.std[0] == 2);
    assert_true(c.lo == -INFINITY && c.hi == 0.25);
    assert_int_equal(c.tensors[0].runs[2], 5);
    assert_int_equal(c.statements[1].what, NM_CLAIM_REPAIR_SET);
    nm_claim_free(&c);
}

enum { SET = 1, EDIT = 3, STATEMENT = 5 };

static const struct {
    size_t part;
    const char *text, *say;
} faults[] = {
    {0, "", "line 1"},
    {0, "[", "line 1"},
    {0, "{\"format\":\"other/1\",\"a\":{\"b\":", "expected 'netmend-claim/1'"},
    {0, "{\"format\":\"netmend-claim/1\",\"sets\":{\"repair\":", "'files' is missing"},
    {0, "{\"format\":\"netmend-claim/1\",\"files\":[3],\"sets\":{\"repair\":", "file 0"},
    {0,
     "{\"format\":\"netmend-claim/1\",\"files\":[{\"name\":\"m\",\"file\":\"m\",\"bytes\":1,"
     "\"sha256\":\"xyz\"}],\"sets\":{\"repair\":",
     "64 hexadecimal digits"},
    {SET, "7", "set 'repair'"},
    {SET, "{\"points\":\"y\"}", "not among the files"},
    {SET, "{\"points\":null}", "names no file"},
    {SET, "{\"points\":\"x\",\"labels\":null,\"first\":-4}", "'first' is -4, expected 0"},
    {SET,
     "{\"points\":\"x\",\"labels\":null,\"first\":0,\"last\":-1,\"scale\":0,\"mean\":[0],\"std\":[]"
     ","
     "\"label_column\":null,\"wanted\":-1,\"rows\":null}",
     "'mean' has 1 entries and 'std' 0"},
    {SET,
     "{\"points\":\"x\",\"labels\":null,\"first\":0,\"last\":-1,\"scale\":0,\"mean\":[],\"std\":[],"
     "\"label_column\":null,\"wanted\":-1,\"rows\":[4,2,4]}",
     "one twice"},
    {SET,
     "{\"points\":\"x\",\"labels\":null,\"first\":0,\"last\":-1,\"scale\":NaN,\"mean\":[],\"std\":["
     "]"
     ",\"label_column\":null,\"wanted\":-1,\"rows\":null}",
     "line 1"},
    {SET,
     "{\"points\":\"x\",\"labels\":null,\"first\":99999999999999999999,\"last\":-1,\"scale\":0}",
     "too big integer"},
    {EDIT, "{\"lo\":0.5,\"hi\":1,\"tensors\":[]}", "expected that they hold 0"},
    {EDIT, "{\"lo\":-1e999,\"hi\":1,\"tensors\":[]}", "real number overflow"},
    {EDIT, "{\"lo\":0,\"hi\":1,\"tensors\":{}}", "'tensors' is something else"},
    {EDIT,
     "{\"lo\":0,\"hi\":1,\"tensors\":[{\"layer\":0,\"tensor\":\"weights\",\"free\":[[0,5],[3,1]]}]"
     "}",
     "ascending runs"},
    {EDIT,
     "{\"lo\":0,\"hi\":1,\"tensors\":[{\"layer\":0,\"tensor\":\"weights\",\"free\":[[0,"
     "9223372036854775807]]}]}",
     "ascending runs"},
    {EDIT,
     "{\"lo\":0,\"hi\":1,\"tensors\":[{\"layer\":2,\"tensor\":\"weights\",\"free\":null},{"
     "\"layer\":"
     "2,\"tensor\":\"weights\",\"free\":null}]}",
     "order of the layers"},
    {STATEMENT, "{\"what\":\"wonders\"}", "'wonders', which this version does not know"},
    {STATEMENT, "{\"n\":1}", "'what' is missing"},
    {STATEMENT, "{\"what\":\"keep_set\"}", "statement 1: 'keep_set': 'n_right' is missing"},
    {STATEMENT, "{\"what\":\"keep_set\",\"n_right\":-1}", "'n_right' is -1"},
    {STATEMENT, "{\"what\":\"keep_set\",\"n_right\":1.5}", "expected an integer"},
    {STATEMENT, "{\"what\":\"keep_set\",\"n_right\":4,\"n_kept\":5}",
     "'n_kept' is 5, expected 0 to 4"},
    {STATEMENT, "{\"what\":\"twins\",\"points\":[1,2,3]}", "has 3 entries, expected 2"},
    {STATEMENT, "{\"what\":\"infeasible\",\"box\":0,\"pieces\":\"any\",\"points\":[]}",
     "'box' is 0"},
    {STATEMENT, "{\"what\":\"infeasible\",\"box\":1,\"pieces\":\"some\",\"points\":[]}",
     "'pieces' is 'some'"},
    {STATEMENT,
     "{\"what\":\"infeasible\",\"box\":1,\"pieces\":\"any\",\"points\":[{\"set\":\"repair\","
     "\"point\""
     ":0,\"margin\":0,\"labels\":[[1,-2]],\"pins\":[]}]}",
     "a multiplier is -2"},
    {STATEMENT,
     "{\"what\":\"infeasible\",\"box\":1,\"pieces\":\"any\",\"points\":[{\"set\":\"repair\","
     "\"point\""
     ":0,\"margin\":0,\"labels\":[[1]],\"pins\":[]}]}",
     "[class, multiplier]"},
    {STATEMENT,
     "{\"what\":\"infeasible\",\"box\":1,\"pieces\":\"any\",\"points\":[{\"set\":\"repair\","
     "\"point\""
     ":0,\"margin\":0,\"labels\":[],\"pins\":[[-1,0,1]]}]}",
     "operator -1"},
    {6, "],\"sha256\":7}", "'sha256'"},
    {6, "],\"sha256\":\"" HASH "\"} {}", "line 1"},
    {6, "],\"format\":\"netmend-claim/1\",\"sha256\":\"" HASH "\"}", "duplicate"},
};

static void faults_are_told_in_one_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        const char *text = claim_with(faults[i].part, faults[i].text);
        nm_claim c;
        nm_err err = {0};
        nm_status rc = nm_claim_parse(text, strlen(text), &c, &err);

        if (rc != NM_E_FORMAT || !strstr(err.text, faults[i].say) || strchr(err.text, '\n'))
            fail_msg("fault %zu: %d, %s", i, (int)rc, err.text);
        nm_claim_free(&c);
    }
}

static void every_truncation_is_refused(void **state)
{
    const char *text = claim_with(99, NULL);
    size_t n = strlen(text);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        nm_claim c;
        nm_err err = {0};

        assert_int_equal(nm_claim_parse(text, i, &c, &err), NM_E_FORMAT);
        nm_claim_free(&c);
    }
}

static void lack_of_memory_is_survived(void **state)
{
    const char *text = claim_with(99, NULL);
    nm_status rc = NM_E_NOMEM;

    (void)state;
    for (long n = 1; rc == NM_E_NOMEM; n++) {
        nm_claim c;
        nm_err err = {0};

        nm_mem_fail_at(n);
        rc = nm_claim_parse(text, strlen(text), &c, &err);
        nm_mem_fail_at(0);
        nm_claim_free(&c);
    }
    assert_int_equal(rc, NM_OK);
}

/* Written claims carry the hash of their content, whatever the numbers. */
static void a_written_claim_is_intact_until_it_is_edited(void **state)
{
    const char *text = claim_with(99, NULL), *path = nm_temp_path(".json");
    nm_claim c, back;
    nm_buffer file;
    char *digit;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_claim_parse(text, strlen(text), &c, &err), &err);
    c.statements[1].margin = 0.1 + 0.2;
    c.sets[0].mean[0] = -1e-300;
    c.hi = 1e22;
    nm_assert_ok(nm_claim_save(&c, path, &err), &err);
    nm_assert_ok(nm_file_read(path, NM_MAX_CLAIM_BYTES, &file, &err), &err);
    nm_assert_ok(nm_claim_parse((char *)file.data, file.n_bytes, &back, &err), &err);
    assert_true(back.is_intact);
    assert_true(back.statements[1].margin == 0.1 + 0.2);
    assert_true(back.sets[0].mean[0] == -1e-300 && back.hi == 1e22 && back.lo == -INFINITY);
    nm_claim_free(&back);
    digit = strstr((char *)file.data, "\"n_probable\":3");
    assert_non_null(digit);
    digit[strlen("\"n_probable\":")] = '2';
    nm_assert_ok(nm_claim_parse((char *)file.data, file.n_bytes, &back, &err), &err);
    assert_false(back.is_intact);
    nm_claim_free(&back);
    nm_claim_free(&c);
    nm_buffer_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_claim_is_read),
        cmocka_unit_test(faults_are_told_in_one_line),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(lack_of_memory_is_survived),
        cmocka_unit_test(a_written_claim_is_intact_until_it_is_edited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
