/* Small images as PNG files in memory. */
#ifndef NM_REPORT_PNG_H
#define NM_REPORT_PNG_H

#include "base/file.h"

/** Packs 8-bit pixels as a PNG file (ISO/IEC 15948).
 *  @param pixels      [height x width x n_channels] row by row from the top
 *  @param n_channels  1 = grey, 3 = red, green, blue
 *  @param out         free with nm_buffer_free()
 *  @return NM_E_ARG for a size that is not in 1..65535 or other channels; NM_E_NOMEM */
nm_status nm_png_pack(const unsigned char *pixels, int64_t width, int64_t height, int n_channels,
                      nm_buffer *out, nm_err *err);

#endif
