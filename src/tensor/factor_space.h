/* Linear forms of a dense layer. Behind y = W x + b, pieces fixed, every quantity of point p is
 *
 *     sum_ik g_i x_pk W_ik + sum_e g_(n_out + e) b_e + constant
 *
 * where b_e are other unknowns (biases of this and later layers): n_out + n_extra numbers g stand
 * for n_out n_in + n_extra coefficients. */
#ifndef NM_TENSOR_FACTOR_SPACE_H
#define NM_TENSOR_FACTOR_SPACE_H

#include <stdint.h>

/** Which unknown each weight is, and the inputs. All arrays are lent. */
typedef struct nm_factor_space {
    int64_t n_out, n_in, n_extra;
    const int64_t *column;       /* [n_out x n_in] unknown of each weight W_ik, -1 = not free */
    const int64_t *extra_column; /* [n_extra] */
    const double *x;             /* [points x n_in]; points may be appended, the array may move */
} nm_factor_space;

/** Numbers that describe one form. */
static inline int64_t nm_factor_width(const nm_factor_space *space)
{
    return space->n_out + space->n_extra;
}

#endif
