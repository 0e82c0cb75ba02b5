/* Training small dense ReLU networks, and the two-moons data set: material for demos and tests. */
#ifndef NETMEND_TRAIN_H
#define NETMEND_TRAIN_H

#include "netmend/data.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Two interleaved half circles: scikit-learn's make_moons(n, shuffle=True, noise,
 *  random_state=seed), draw for draw, rounded to float32. Labels 0 (upper moon) and 1.
 *  @param n      1 .. 100,000,000
 *  @param noise  standard deviation of the Gaussian noise, >= 0 */
NM_API nm_status nm_moons(int64_t n, double noise, uint32_t seed, nm_points *out, nm_err *err);

/** Splits points as scikit-learn's train_test_split(test_size=test_share, random_state=seed) does:
 *  shuffled, the first ceil(test_share n) become the test points. `rows` of both tell where a point
 *  came from.
 *  @param test_share  between 0 and 1, both parts must get points */
NM_API nm_status nm_split(const nm_points *all, double test_share, uint32_t seed, nm_points *train,
                          nm_points *test, nm_err *err);

/** Options; start from NM_TRAIN_OPTS_INIT. */
typedef struct nm_train_opts {
    size_t size;
    const int64_t *hidden; /**< widths of the hidden layers, each 1 .. 1,000,000 */
    int n_hidden;          /**< 0 (a linear classifier) .. 100 */
    int64_t n_classes;     /**< outputs, >= 2; 0 = largest label + 1 */
    int epochs;            /**< passes over the data; 0 = the initial weights */
    int64_t batch;         /**< points per step, in a new order each epoch; 0 = all (full batch) */
    double learning_rate;  /**< of Adam (beta 0.9, 0.999, epsilon 1e-8), > 0 */
    uint64_t seed;         /**< initial weights and order of the points */
} nm_train_opts;

#define NM_TRAIN_OPTS_INIT                                                                         \
    {                                                                                              \
        .size = sizeof(nm_train_opts), .epochs = 100, .learning_rate = 1e-3                        \
    }

typedef struct nm_train_report {
    double loss, accuracy; /**< of the float32 network on the training points */
    int64_t steps;         /**< of Adam */
    double seconds;
} nm_train_report;

/** Trains a dense ReLU network by Adam on the mean cross entropy, in double; the parameters are
 *  rounded to float32 at the end. Initial weights and biases are uniform within
 *  +-1/sqrt(inputs of the layer). Same seed, same bits, any number of threads. Reports progress
 *  "training" once an epoch, with the loss.
 *  @return NM_E_ARG also when training diverges (the learning rate is too large)
 *  Free *out with nm_net_free(). */
NM_API nm_status nm_train(nm_ctx *ctx, const nm_points *points, const nm_train_opts *opts,
                          nm_net **out, nm_train_report *report, nm_err *err);

#ifdef __cplusplus
}
#endif
#endif
