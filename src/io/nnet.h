/* The .nnet text format of ACAS Xu: a chain of dense ReLU layers with normalisation of inputs and
 * outputs.
 * Source: K. Julian, "Neural Network File Format" (sisl/NNet on GitHub, README).
 *
 * Lines: comments that start with "//"; the numbers of layers, inputs, outputs, and the largest
 * layer; all layer sizes, inputs first; an unused flag; minima and maxima of the inputs; means and
 * ranges of the inputs, the last of each for all outputs; then for each layer the rows of its
 * weights (one per neuron) and its biases, one a line. Numbers are separated by commas; a comma at
 * the end of a line is optional.
 *
 * The net takes and gives raw values: normalisation, where it is not neutral, stands in the graph
 * as operators, (x - mean) / range before the layers and y * range + mean after them. (The ONNX
 * forms of the ACAS Xu networks take and give normalised values.) Inputs are not clipped to
 * [minimum, maximum]. All numbers are rounded to float32. */
#ifndef NM_IO_NNET_H
#define NM_IO_NNET_H

#include "base/file.h"
#include "net/graph.h"

/** Makes a net from .nnet text. Messages start with the line number, not with the file's name. */
nm_status nm_nnet_read(const nm_buffer *file, nm_net **out, nm_err *err);

/** The same without the operators of normalisation: the net takes and gives normalised values, as
 *  the ONNX forms do. Minima and maxima are normalised. */
nm_status nm_nnet_read_normalised(const nm_buffer *file, nm_net **out, nm_err *err);

/** Text for a net that is [Sub, Div,] dense (Relu dense)* [, Mul, Add] with constants, views
 *  (Flatten and the like) anywhere. Numbers have as many digits as it takes to read the same
 * float32 back. Comments, minima and maxima come from the .nnet file the net was read from;
 * otherwise minima and maxima are -FLT_MAX and FLT_MAX: no limit. NM_E_UNSUPPORTED names the
 * operator that has no place in the format. */
nm_status nm_nnet_write(const nm_net *net, nm_buffer *out, nm_err *err);

#endif
