#include "data_support.h"

enum { RECORD = 3073 };

static void idx_types_are_read_big_endian(void **state)
{
    static const struct {
        unsigned char bytes[32];
        size_t n_bytes;
        float x[2];
    } cases[] = {
        {{0, 0, 8, 1, 0, 0, 0, 2, 255, 51}, 10, {1.0F, 0.2F}},
        {{0, 0, 11, 1, 0, 0, 0, 2, 1, 0, 0xff, 0xff}, 12, {256, -1}},
        {{0, 0, 12, 2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 1, 0, 0, 0xff, 0xff, 0xff, 0xfe},
         20,
         {65536, -2}},
        {{0, 0, 13, 1, 0, 0, 0, 2, 0x3f, 0xc0, 0, 0, 0xc0, 0, 0, 0}, 16, {1.5F, -2}},
        {{0, 0, 14, 1, 0, 0, 0, 2, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0},
         24,
         {1.5F, -2}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nm_err err = {0};
        nm_points p;
        nm_assert_ok(parse_bytes("a.idx", cases[i].bytes, cases[i].n_bytes, NULL, &p, &err), &err);
        assert_int_equal(p.n, 2);
        assert_int_equal(p.n_in, 1);
        assert_memory_equal(p.x, cases[i].x, sizeof cases[i].x);
        nm_points_free(&p);
    }
}

static void idx_is_recognised_by_name_or_content(void **state)
{
    static const unsigned char bytes[] = {0, 0, 8, 1, 0, 0, 0, 1, 7};
    static const char *const names[] = {"labels-idx1-ubyte", "labels.idx", "labels"};

    (void)state;
    for (int i = 0; i < 3; i++) {
        nm_err err = {0};
        nm_points p;
        nm_assert_ok(parse_bytes(names[i], bytes, sizeof bytes, NULL, &p, &err), &err);
        nm_points_free(&p);
    }
}

static void idx_faults_are_named(void **state)
{
#define MAGIC_EXPECTED ", expected 0x000008 (unsigned bytes; or 0b, 0c, 0d, 0e) and 1 to 8 axes"
    static const struct {
        unsigned char bytes[24];
        size_t n_bytes;
        nm_status status;
        const char *text;
    } cases[] = {
        {{0}, 0, NM_E_FORMAT, "a.idx: 0 bytes, expected an IDX header"},
        {{0, 0, 8}, 3, NM_E_FORMAT, "a.idx: 3 bytes, expected an IDX header"},
        {{0, 1, 8, 1}, 4, NM_E_FORMAT, "a.idx: magic 0x00010801" MAGIC_EXPECTED},
        {{0, 0, 9, 1}, 4, NM_E_FORMAT, "a.idx: magic 0x00000901" MAGIC_EXPECTED},
        {{0, 0, 8, 0}, 4, NM_E_FORMAT, "a.idx: magic 0x00000800" MAGIC_EXPECTED},
        {{0, 0, 8, 9}, 4, NM_E_FORMAT, "a.idx: magic 0x00000809" MAGIC_EXPECTED},
        {{0, 0, 8, 2, 0, 0, 0, 1, 0}, 9, NM_E_FORMAT, "a.idx: ends within the sizes of its 2 axes"},
        {{0, 0, 8, 1, 0, 0, 0, 3, 1, 2},
         10,
         NM_E_FORMAT,
         "a.idx: 2 bytes of data, expected 3 for shape [3]"},
        {{0, 0, 8, 1, 0, 0, 0, 1, 1, 2},
         10,
         NM_E_FORMAT,
         "a.idx: 2 bytes of data, expected 1 for shape [1]"},
        {{0, 0, 8, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
         12,
         NM_E_SHAPE,
         "a.idx: 0 numbers per point"},
        {{0, 0, 8, 2, 0, 0, 0, 0, 0, 0, 0, 5}, 12, NM_E_SHAPE, "a.idx: no points"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused("a.idx", cases[i].bytes, cases[i].n_bytes, NULL, cases[i].status,
                       cases[i].text);
}

static void cifar_records_are_label_and_planes(void **state)
{
    static unsigned char file[2 * RECORD];
    nm_err err = {0};
    nm_points p;

    (void)state;
    for (int i = 0; i < 2 * RECORD; i++)
        file[i] = (unsigned char)(i * 7);
    file[0] = 9;
    file[RECORD] = 4;
    nm_assert_ok(parse_bytes("a.bin", file, sizeof file, NULL, &p, &err), &err);
    assert_int_equal(p.n, 2);
    assert_int_equal(p.n_in, 3072);
    assert_int_equal(p.labels[0], 9);
    assert_int_equal(p.labels[1], 4);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3072; j++)
            assert_true(p.x[i * 3072 + j] == (float)(file[i * RECORD + 1 + j] / 255.0));
    nm_points_free(&p);
}

static void cifar_faults_are_named(void **state)
{
    static unsigned char file[2 * RECORD];

    (void)state;
    assert_refused("a.bin", file, 0, NULL, NM_E_SHAPE, "a.bin: no points");
    assert_refused("a.bin", file, RECORD + 1000, NULL, NM_E_FORMAT,
                   "a.bin: record 1 (byte 3073) is cut off after 1000 bytes, expected CIFAR-10 "
                   "records of 3073");
    file[RECORD] = 10;
    assert_refused("a.bin", file, sizeof file, NULL, NM_E_FORMAT,
                   "a.bin: record 1 (byte 3073): label 10, expected 0 to 9");
}

static void count_labels(const nm_points *p, int histogram[10])
{
    memset(histogram, 0, 10 * sizeof *histogram);
    for (int64_t i = 0; i < p->n; i++)
        histogram[p->labels[i]]++;
}

static void mnist_test_set_is_as_published(void **state)
{
    /* The well-known class counts of the MNIST test set. */
    static const int counts[] = {980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009};
    nm_data_opts opts = NM_DATA_OPTS_INIT;
    nm_err err = {0};
    nm_points p;
    int histogram[10];
    double sum = 0;

    (void)state;
    opts.n_in = 784;
    opts.n_classes = 10;
    nm_assert_ok(load_points(nm_shared("mnist/t10k-images-idx3-ubyte.gz"),
                             nm_shared("mnist/t10k-labels-idx1-ubyte.gz"), &opts, &p, &err),
                 &err);
    assert_int_equal(p.n, 10000);
    count_labels(&p, histogram);
    assert_memory_equal(histogram, counts, sizeof counts);
    for (int64_t i = 0; i < p.n * p.n_in; i++)
        sum += (double)p.x[i];
    /* Mean of the test images as NumPy computes it from the same file. */
    nm_assert_close(&(double){sum / 7840000}, &(double){0.132514605842}, 1, 1e-6, 0);
    nm_points_free(&p);
}

static void cifar_sets_are_as_their_readme_says(void **state)
{
    nm_data_opts opts = NM_DATA_OPTS_INIT;
    nm_err err = {0};
    nm_points p;
    int histogram[10];

    (void)state;
    opts.n_in = 3072;
    opts.n_classes = 10;
    nm_assert_ok(load_points(nm_shared("cifar10/data_batch_1.bin"), NULL, &opts, &p, &err), &err);
    assert_int_equal(p.n, 5000);
    count_labels(&p, histogram);
    for (int c = 0; c < 10; c++)
        assert_int_equal(histogram[c], 500);
    nm_points_free(&p);
}

static void lack_of_memory_is_reported(void **state)
{
    static const unsigned char idx[] = {0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 2, 3, 4};
    static const unsigned char cifar[RECORD];
    nm_err err = {0};
    nm_points p;

    (void)state;
    assert_survives_lack_of_memory(parse_bytes("a.idx", idx, sizeof idx, NULL, &p, &err), &err,
                                   nm_points_free(&p));
    assert_survives_lack_of_memory(parse_bytes("a.bin", cifar, sizeof cifar, NULL, &p, &err), &err,
                                   nm_points_free(&p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idx_types_are_read_big_endian),
        cmocka_unit_test(idx_is_recognised_by_name_or_content),
        cmocka_unit_test(idx_faults_are_named),
        cmocka_unit_test(cifar_records_are_label_and_planes),
        cmocka_unit_test(cifar_faults_are_named),
        cmocka_unit_test(mnist_test_set_is_as_published),
        cmocka_unit_test(cifar_sets_are_as_their_readme_says),
        cmocka_unit_test(lack_of_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
