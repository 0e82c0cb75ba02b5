/* The two-moons data set and the random split of data, draw for draw as scikit-learn does them:
 * sklearn.datasets.make_moons, sklearn.model_selection.train_test_split (Pedregosa et al.,
 * "Scikit-learn: Machine learning in Python", JMLR 12, 2011), both on a numpy RandomState. */
#include <inttypes.h>
#include <math.h>

#include "base/mem.h"
#include "base/mt19937.h"
#include "netmend/train.h"

enum { MOONS_MAX = 100000000 };

static const double PI = 3.14159265358979323846;

/* Angle i of n equally spaced ones over [0, pi]; rounded as numpy.linspace rounds. */
static double angle(int64_t i, int64_t n)
{
    if (n == 1)
        return 0.0;
    return i == n - 1 ? PI : (double)i * (PI / (double)(n - 1));
}

/* Point i of the data set before it is shuffled and blurred: first the upper moon, then the lower.
   @return its label */
static int64_t clean_point(int64_t i, int64_t n, double xy[2])
{
    int64_t n_upper = n / 2;

    if (i < n_upper) {
        xy[0] = cos(angle(i, n_upper));
        xy[1] = sin(angle(i, n_upper));
        return 0;
    }
    xy[0] = 1.0 - cos(angle(i - n_upper, n - n_upper));
    xy[1] = 1.0 - sin(angle(i - n_upper, n - n_upper)) - 0.5;
    return 1;
}

static nm_status check_moons(int64_t n, double noise, nm_err *err)
{
    if (n < 1 || n > MOONS_MAX)
        return nm_fail(err, NM_E_ARG, "two moons: %" PRId64 " points asked, expected 1 to %d", n,
                       MOONS_MAX);
    if (!(noise >= 0.0 && isfinite(noise)))
        return nm_fail(err, NM_E_ARG, "two moons: noise %g, expected a finite number >= 0", noise);
    return NM_OK;
}

nm_status nm_moons(int64_t n, double noise, uint32_t seed, nm_points *out, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_mt19937 mt;
    int64_t *order = NULL, *labels = NULL;
    float *x = NULL;

    *out = (nm_points){0};
    NM_TRY(check_moons(n, noise, err));
    NM_TRY(nm_alloc(&order, (size_t)n, sizeof *order, err));
    NM_TRY(nm_alloc(&labels, (size_t)n, sizeof *labels, err));
    NM_TRY(nm_alloc(&x, (size_t)n, 2 * sizeof *x, err));

    /* The order of draws is part of the definition: all of the shuffle first, then the noise. */
    nm_mt_seed(&mt, seed);
    nm_mt_permutation(&mt, order, n);
    for (int64_t i = 0; i < n; i++) {
        double xy[2];

        labels[i] = clean_point(order[i], n, xy);
        x[2 * i] = (float)(xy[0] + noise * nm_mt_normal(&mt));
        x[2 * i + 1] = (float)(xy[1] + noise * nm_mt_normal(&mt));
    }
    NM_TRY(nm_points_from_arrays(x, n, 2, labels, out, err));
done:
    nm_free(x);
    nm_free(labels);
    nm_free(order);
    return rc;
}

static nm_status check_split(const nm_points *all, double test_share, nm_err *err)
{
    if (!(test_share > 0.0 && test_share < 1.0))
        return nm_fail(err, NM_E_ARG, "split: test share %g, expected a number between 0 and 1",
                       test_share);
    if (all->n > UINT32_MAX || ceil(test_share * (double)all->n) >= (double)all->n)
        return nm_fail(err, NM_E_ARG,
                       "split: a test share of %g of %" PRId64 " points leaves none to train on",
                       test_share, all->n);
    return NM_OK;
}

nm_status nm_split(const nm_points *all, double test_share, uint32_t seed, nm_points *train,
                   nm_points *test, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_mt19937 mt;
    int64_t *order = NULL;

    *train = *test = (nm_points){0};
    NM_TRY(check_split(all, test_share, err));
    NM_TRY(nm_alloc(&order, (size_t)all->n, sizeof *order, err));

    int64_t n_test = (int64_t)ceil(test_share * (double)all->n);

    nm_mt_seed(&mt, seed);
    nm_mt_permutation(&mt, order, all->n);
    NM_TRY(nm_points_subset(all, order, n_test, test, err));
    NM_TRY(nm_points_subset(all, order + n_test, all->n - n_test, train, err));
done:
    if (rc != NM_OK)
        nm_points_free(test);
    nm_free(order);
    return rc;
}
