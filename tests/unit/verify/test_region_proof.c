/* Proofs of regions: those that are made check; those that were tampered with do not. */
#include "region_support.h"

#include "base/mem.h"
#include "netmend/verify.h"
#include "verify/region_proof.h"

#include <stdio.h>

/* A property over a box, from text. */
static nm_property *make_property(nm_ctx *ctx, int64_t n_in, const double *lo, const double *hi,
                                  const char *outputs)
{
    const char *path = nm_temp_path(".vnnlib");
    FILE *f = fopen(path, "w");
    nm_property *p;
    nm_err err = {0};

    assert_non_null(f);
    for (int64_t j = 0; j < n_in; j++)
        (void)fprintf(f, "(declare-const X_%d Real)\n", (int)j);
    for (int o = 0; o < 3; o++)
        (void)fprintf(f, "(declare-const Y_%d Real)\n", o);
    for (int64_t j = 0; j < n_in; j++)
        (void)fprintf(f, "(assert (<= X_%d %.17g))\n(assert (>= X_%d %.17g))\n", (int)j, hi[j],
                      (int)j, lo[j]);
    (void)fprintf(f, "%s\n", outputs);
    (void)fclose(f);
    nm_assert_ok(nm_property_load(ctx, path, &p, &err), &err);
    return p;
}

enum { MOST_IN = 30 };

typedef struct rig {
    nm_ctx *ctx;
    nm_net *net;
    nm_property *property;
    nm_verify_report report;
} rig;

/* A network and a property of it that holds, barely: thresholds sit under the least sampled value.
 */
static bool open_rig_of(rig *s, uint64_t seed, bool cases, int64_t n_in)
{
    const int64_t widths[] = {n_in, 8, 8, 3};
    nm_rng rng = {.seed = seed, .stream = 30};
    nm_verify_opts opts = NM_VERIFY_OPTS_INIT;
    double lo[MOST_IN], hi[MOST_IN], x[MOST_IN], y[3], least = 1e9;
    char text[400];
    nm_err err = {0};

    *s = (rig){.net = make_chain(seed, "Relu", widths, 3)};
    nm_assert_ok(nm_ctx_new(&s->ctx, &err), &err);
    make_box(&rng, n_in, n_in > 3 ? 0.4 : 1.5, lo, hi);
    for (int p = 0; p < 20000; p++) {
        double larger;

        make_point(&rng, n_in, lo, hi, x);
        nm_assert_ok(nm_net_forward_f64(s->ctx, s->net, x, 1, y, &err), &err);
        larger = fmax(y[0], y[1]);
        least = fmin(least, cases ? fmin(y[0], y[2]) : larger);
    }
    least -= n_in > 3 ? 0.2 : 0.02;
    (void)snprintf(text, sizeof text,
                   cases ? "(assert (or (and (<= Y_0 %.9g)) (and (<= Y_2 %.9g))))"
                         : "(assert (<= Y_0 %.9g))\n(assert (<= Y_1 %.9g))",
                   least, least);
    s->property = make_property(s->ctx, n_in, lo, hi, text);
    opts.certify = true;
    nm_assert_ok(nm_verify(s->ctx, s->net, s->property, &opts, &s->report, &err), &err);
    return s->report.verdict == NM_VERDICT_HOLDS;
}

static bool open_rig(rig *s, uint64_t seed, bool cases)
{
    return open_rig_of(s, seed, cases, 3);
}

static void close_rig(rig *s)
{
    nm_verify_report_free(&s->report);
    nm_property_free(s->property);
    nm_net_free(s->net);
    nm_ctx_free(s->ctx);
}

static nm_status check(rig *s, const nm_region_proof *proof, nm_err *err)
{
    *err = (nm_err){0};
    return nm_check_region_proof(s->ctx, s->net, s->property, 0, proof, err);
}

static void proofs_check(void **state)
{
    int n = 0, n_steps = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        rig s;
        nm_err err;

        if (open_rig(&s, seed, seed % 2 == 0)) {
            assert_int_equal(s.report.n_proofs, 1);
            nm_assert_ok(check(&s, s.report.proofs[0], &err), &err);
            n_steps += (int)s.report.proofs[0]->n_steps;
            n++;
        }
        close_rig(&s);
    }
    assert_true(n >= 20 && n_steps >= 5 * n); /* and they are not trivial */
}

/* The largest proof among some. */
static void open_large(rig *s)
{
    for (uint64_t seed = 1;; seed++) {
        if (open_rig(s, seed, false) && s->report.proofs[0]->n_steps >= 15)
            return;
        close_rig(s);
    }
}

static void parts_left_out_are_missed(void **state)
{
    rig s;
    nm_err err;

    (void)state;
    open_large(&s);
    nm_region_proof *p = s.report.proofs[0];

    for (int64_t i = 0; i < p->n_steps; i++) { /* each leaf, each split gone */
        nm_region_proof less = *p;

        if (p->steps[i].kind == NM_PROOF_AGAIN) /* the box is then the larger one, and may do */
            continue;
        nm_assert_ok(nm_memdup(&less.steps, p->steps, (size_t)p->n_steps, sizeof *p->steps, &err),
                     &err);
        memmove(less.steps + i, less.steps + i + 1,
                (size_t)(p->n_steps - i - 1) * sizeof *p->steps);
        less.n_steps--;
        if (check(&s, &less, &err) == NM_OK)
            fail_msg("step %d is not missed", (int)i);
        nm_free(less.steps);
    }
    close_rig(&s);
}

/* A part that was split passes for closed; the rest of the tree follows suit. */
static void a_part_that_is_not_closed_is_found(void **state)
{
    rig s;
    nm_err err;
    nm_region_proof short_one;

    (void)state;
    open_large(&s);
    short_one = *s.report.proofs[0];
    short_one.n_steps = 1;
    nm_assert_ok(
        nm_memdup(&short_one.steps, s.report.proofs[0]->steps, 1, sizeof *short_one.steps, &err),
        &err);
    short_one.steps[0].kind = NM_PROOF_CLOSED;
    assert_int_equal(check(&s, &short_one, &err), NM_E_ARG);
    assert_non_null(strstr(err.text, "not closed"));
    nm_free(short_one.steps);
    close_rig(&s);
}

/* Weights that are wrong close nothing; numbers that are missing are missed. */
static void numbers_matter(void **state)
{
    rig s;
    nm_err err;
    nm_region_proof *p, other;
    int n_refuted = 0;

    (void)state;
    open_large(&s);
    p = s.report.proofs[0];
    other = *p;
    other.n_numbers = 0;
    nm_assert_ok(nm_memdup(&other.steps, p->steps, (size_t)p->n_steps, sizeof *p->steps, &err),
                 &err);
    for (int64_t i = 0; i < p->n_steps; i++)
        other.steps[i].first = other.steps[i].n = 0;
    assert_int_equal(check(&s, &other, &err), NM_E_ARG);
    nm_free(other.steps);
    for (int64_t i = 0; i < p->n_numbers; i++) {
        double kept = p->numbers[i];

        p->numbers[i] = -1 - kept;
        n_refuted += check(&s, p, &err) != NM_OK;
        p->numbers[i] = (double)NAN;
        n_refuted += check(&s, p, &err) != NM_OK;
        p->numbers[i] = kept;
    }
    assert_true(n_refuted > p->n_numbers); /* a point may be any point: those still prove */
    nm_assert_ok(check(&s, p, &err), &err);
    close_rig(&s);
}

/* The proof of one property is none of another: a larger box, a larger threshold. */
static void a_proof_is_of_its_own_property(void **state)
{
    static const char *const all = "(assert (<= Y_0 100))\n(assert (<= Y_1 100))";
    rig s;
    nm_err err;
    nm_property *other;
    double lo[3], hi[3];

    (void)state;
    open_large(&s);
    memcpy(lo, s.property->boxes[0].lo_out, sizeof lo);
    memcpy(hi, s.property->boxes[0].hi_out, sizeof hi);
    other = make_property(s.ctx, 3, lo, hi, all);
    assert_int_equal(nm_check_region_proof(s.ctx, s.net, other, 0, s.report.proofs[0], &err),
                     NM_E_ARG);
    nm_property_free(other);
    close_rig(&s);
}

/* -- proofs by signs of neurons ----------------------------------------------------------- */

/* Many inputs, so that neurons are split; with splits in the proof. */
static bool open_signs(rig *s, uint64_t seed)
{
    int64_t n = 0;

    if (!open_rig_of(s, seed, seed % 2 == 0, MOST_IN))
        return false;
    for (int64_t i = 0; i < s->report.proofs[0]->n_ints; i++)
        n += s->report.proofs[0]->ints[i] == -1;
    return n >= 4;
}

static void proofs_by_signs_check(void **state)
{
    int n = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        rig s;
        nm_err err;

        if (open_signs(&s, seed)) {
            nm_assert_ok(check(&s, s.report.proofs[0], &err), &err);
            n++;
        }
        close_rig(&s);
    }
    print_message("%d proofs with splits\n", n);
    assert_true(n >= 5);
}

static void open_some_signs(rig *s)
{
    for (uint64_t seed = 1; !open_signs(s, seed); seed++)
        close_rig(s);
}

/* A number less, or another one, and the streams make no sense or a part is open. Slopes may be any
   in [0, 1]: some of those still prove. */
static void signs_left_out_are_missed(void **state)
{
    rig s;
    nm_err err;
    nm_region_proof *p;
    int n_refuted = 0;

    (void)state;
    open_some_signs(&s);
    p = s.report.proofs[0];
    for (int64_t i = 0; i < p->n_ints; i++) {
        nm_region_proof less = *p;

        nm_assert_ok(nm_memdup(&less.ints, p->ints, (size_t)p->n_ints, sizeof *p->ints, &err),
                     &err);
        memmove(less.ints + i, less.ints + i + 1, (size_t)(p->n_ints - i - 1) * sizeof *p->ints);
        less.n_ints--;
        if (check(&s, &less, &err) == NM_OK)
            fail_msg("number %d is not missed", (int)i);
        nm_free(less.ints);
    }
    for (int64_t i = 0; i < p->n_floats; i++) {
        float kept = p->floats[i];

        p->floats[i] = -1 - kept;
        assert_int_equal(check(&s, p, &err), NM_E_ARG);
        p->floats[i] = kept;
    }
    for (int64_t i = 0; i < p->n_bytes; i++) {
        unsigned char kept = p->bytes[i];

        p->bytes[i] = kept > 127 ? 0 : 255;
        n_refuted += check(&s, p, &err) != NM_OK;
        p->bytes[i] = kept;
    }
    p->n_bytes--;
    assert_int_equal(check(&s, p, &err), NM_E_ARG);
    p->n_bytes++;
    nm_assert_ok(check(&s, p, &err), &err);
    print_message("%d of %d slopes mattered\n", n_refuted, (int)p->n_bytes);
    close_rig(&s);
}

/* Thresholds that some input passes: the proof of a smaller one must not do. */
static void signs_prove_their_own_property(void **state)
{
    int n = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        rig s;
        nm_err err;
        nm_property *other;
        double x[MOST_IN], y[3];
        char text[200];

        if (open_signs(&s, seed)) {
            const nm_in_box *box = &s.property->boxes[0];

            for (int j = 0; j < MOST_IN; j++)
                x[j] = 0.5 * (box->lo_out[j] + box->hi_out[j]);
            nm_assert_ok(nm_net_forward_f64(s.ctx, s.net, x, 1, y, &err), &err);
            (void)snprintf(text, sizeof text,
                           seed % 2 == 0 ? "(assert (or (and (<= Y_0 %.9g)) (and (<= Y_2 %.9g))))"
                                         : "(assert (<= Y_0 %.9g))\n(assert (<= Y_1 %.9g))",
                           y[0] + 1e-6, (seed % 2 == 0 ? y[2] : y[1]) + 1e-6);
            other = make_property(s.ctx, MOST_IN, box->lo_out, box->hi_out, text);
            err = (nm_err){0};
            assert_int_equal(
                nm_check_region_proof(s.ctx, s.net, other, 0, s.report.proofs[0], &err), NM_E_ARG);
            nm_property_free(other);
            n++;
        }
        close_rig(&s);
    }
    assert_true(n >= 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proofs_check),
        cmocka_unit_test(parts_left_out_are_missed),
        cmocka_unit_test(a_part_that_is_not_closed_is_found),
        cmocka_unit_test(numbers_matter),
        cmocka_unit_test(a_proof_is_of_its_own_property),
        cmocka_unit_test(proofs_by_signs_check),
        cmocka_unit_test(signs_left_out_are_missed),
        cmocka_unit_test(signs_prove_their_own_property),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
