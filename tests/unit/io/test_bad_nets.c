/* The shared collection of malformed files, by its manifest, and our own below tests/bad. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "netmend/net.h"

static nm_status load(const char *path, nm_err *err)
{
    nm_ctx *ctx;
    nm_net *net;
    nm_status rc;

    nm_assert_ok(nm_ctx_new(&ctx, err), err);
    rc = nm_net_load(ctx, path, &net, err);
    assert_true((rc == NM_OK) == (net != NULL));
    nm_net_free(net);
    nm_ctx_free(ctx);
    return rc;
}

/* Splits off the next field of a CSV line; quoted fields may hold commas. */
static char *next_field(char **line)
{
    bool quoted = **line == '"';
    char *field = *line + quoted;
    char *end = strpbrk(field, quoted ? "\"" : ",");

    if (!end)
        end = field + strlen(field);
    *line = end + (*end != 0) + (quoted && *end && end[1] == ',');
    *end = 0;
    return field;
}

/* @return true if the file behaved as expected */
static bool check_row(char *line, int *n_checked)
{
    const char *file = next_field(&line), *kind = next_field(&line);
    const char *what = next_field(&line), *expect = next_field(&line);
    char relative[256];
    nm_err err = {0};
    nm_status rc;
    bool ok;

    if (strcmp(kind, "onnx") != 0 && strcmp(kind, "nnet") != 0)
        return true;
    ++*n_checked;
    (void)snprintf(relative, sizeof relative, "badinput/%s", file);
    rc = load(nm_shared(relative), &err);
    ok = strcmp(expect, "either") == 0 || (rc == NM_OK) == (strcmp(expect, "accept") == 0);
    if (rc != NM_OK && (!strstr(err.text, file) || strlen(err.text) < strlen(file) + 10))
        ok = false;
    print_message("%s %s\n    %s\n", ok ? "  " : "!!", what, rc == NM_OK ? "(read)" : err.text);
    return ok;
}

static void malformed_networks_behave_as_the_manifest_says(void **state)
{
    nm_buffer manifest;
    nm_err err = {0};
    char *rest, *line;
    int n_checked = 0, n_wrong = 0;

    (void)state;
    nm_assert_ok(nm_file_read(nm_shared("badinput/manifest.csv"), 1 << 20, &manifest, &err), &err);
    rest = (char *)manifest.data;
    while ((line = strsep(&rest, "\n")))
        if (*line)
            n_wrong += !check_row(line, &n_checked);
    assert_true(n_checked > 50);
    assert_int_equal(n_wrong, 0);
    nm_buffer_free(&manifest);
}

static void our_own_malformed_networks_give_their_message(void **state)
{
    static const struct {
        const char *file, *message;
    } cases[] = {
        {"bad/no_comma.nnet", "line 3: '2 3 2', expected a finite float32 number"},
        {"bad/half_layer.nnet", "line 2: layer sizes, inputs first: 2.5, expected a positive"},
        {"bad/no_layers.nnet", "line 1: numbers of layers, inputs, outputs, largest layer: 0"},
        {"bad/many_layers.nnet", "line 1: 1000000000000 layers"},
        {"bad/negative_range.nnet", "line 7: range -1, expected a positive number"},
        {"bad/hex_weight.nnet", "line 8: '0x10', expected a finite float32 number"},
        {"bad/too_large_for_float.nnet", "line 8: '1e39', expected a finite float32 number"},
        {"bad/two_biases.nnet", "line 11: found 2 of 1 numbers (bias of layer 0, neuron 0)"},
        {"bad/empty.nnet", "the file ends after line 0, expected numbers of layers"},
        {"bad/text.onnx", "byte "},
        {"bad/no_such_file.onnx", "cannot open"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nm_err err = {0};

        assert_int_not_equal(load(nm_test_file(cases[i].file), &err), NM_OK);
        if (!strstr(err.text, cases[i].message) || !strstr(err.text, cases[i].file))
            fail_msg("%s: got \"%s\", want \"...%s...\"", cases[i].file, err.text,
                     cases[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_networks_behave_as_the_manifest_says),
        cmocka_unit_test(our_own_malformed_networks_give_their_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
