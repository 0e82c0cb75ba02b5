/* Several arrays side by side ("lanes"): element i of all of them together, to[i * lanes + l].
 * Loops over neighbouring elements then run over all lanes at once. */
#ifndef NM_TENSOR_LANES_H
#define NM_TENSOR_LANES_H

#include <stdbool.h>
#include <stdint.h>

/** to[i * lanes + l] = from[l * stride + i], i < n. */
void nm_lanes_gather_f32(int64_t lanes, int64_t n, const float *from, int64_t stride, float *to);
void nm_lanes_gather_f64(int64_t lanes, int64_t n, const double *from, int64_t stride, double *to);

/** The inverse: to[l * stride + i] = (add ? to[l * stride + i] : 0) + offset + from[i * lanes + l].
 */
void nm_lanes_scatter_f32(int64_t lanes, int64_t n, const float *from, float offset, bool add,
                          float *to, int64_t stride);
void nm_lanes_scatter_f64(int64_t lanes, int64_t n, const double *from, double offset, bool add,
                          double *to, int64_t stride);

#endif
