/* Images like those that are there: what a network does on a few thousand reference images can be
 * kept by heart when millions of weights are free; shifted and mirrored copies tell more of what is
 * to be kept (the usual augmentation of natural images: Krizhevsky, Sutskever, Hinton, "ImageNet
 * classification with deep convolutional neural networks", 2012, section 4.1). */
#ifndef NM_PROBLEM_AUGMENT_H
#define NM_PROBLEM_AUGMENT_H

#include "base/rng.h"
#include "net/graph.h"

/** Whether inputs of this shape are colour images: [(1,) 3, height, width], 8 x 8 at least. Digits
 *  and letters (one channel) are not mirrored for good reason. */
bool nm_augment_fits(const nm_shape *shape);

/** A copy of each image, moved by up to an eighth of its height and width (the border's pixels fill
 *  up) and mirrored every other time.
 *  @param shape  nm_augment_fits()
 *  @param x      [n x size of shape]
 *  @param copy   out: the same shape; not x
 *  @param seed   copies depend on it, on `round` and their position alone */
void nm_augment(const nm_shape *shape, const float *x, int64_t n, uint64_t seed, uint64_t round,
                float *copy);

#endif
