/* What a repair did, for people: pictures, and pages of results. */
#ifndef NETMEND_REPORT_H
#define NETMEND_REPORT_H

#include "netmend/repair.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Draws the decision regions of a two-input classifier before and after a repair, side by side
 *  over the same axes, as one self-contained SVG file.
 *
 *  Classes differ by colour and by the shape of their points; wrongly classified points are
 *  crossed, points of the repair set ringed. Each panel states its accuracy on `points`.
 *
 *  @param before, after  both 2 inputs, the same 2..10 outputs (NM_E_ARG otherwise)
 *  @param points         what is drawn and counted; labels required, each below the outputs
 *  @param repair_set     points to ring, labelled too; NULL = none. They need not be in `points`
 *  @param path           the file; it appears only when complete */
NM_API nm_status nm_boundary_svg(nm_ctx *ctx, const nm_net *before, const nm_net *after,
                                 const nm_points *points, const nm_points *repair_set,
                                 const char *path, nm_err *err);

/** Looks closely at what a repair did, for a report: JSON object with
 *
 *  - "measured_on": "test", "keep" or "repair", the first of these sets that has labels;
 *    "classes": of each class there, {"class", "n", "right_before", "right_after"};
 *    "confusions": pairs whose number changed most, {"label", "predicted", "before", "after"};
 *  - "repair_classes": how many points of each wanted class were to be repaired, {"class", "n"};
 *  - "points": of up to 24 repair points and 12 test points that the repair broke,
 *    {"set": "repair" or "broken", "row", "label", "before", "after"} and, where the network takes
 *    images, "png": the image, base64. Images are inputs [c x h x w], [h x w x c] with 1 or 3
 *    channels, [h x w], or flat ones whose number is a square of at least 14 x 14; values beyond 0
 *    to 1 are stretched to it;
 *  - "boundary_svg", base64, with 2 inputs and 2 to 10 classes: as nm_boundary_svg().
 *
 *  @param task  repair required; of its labels (or targets), the wanted classes
 *  @param json  a string to free with nm_string_free()
 *  @return NM_E_SHAPE if the networks differ in inputs or outputs; NM_E_ARG for a label that is no
 *          output; what evaluating fails with */
NM_API nm_status nm_report_details(nm_ctx *ctx, const nm_net *before, const nm_net *after,
                                   const nm_repair_task *task, char **json, nm_err *err);

/** Writes a result as one HTML page that needs nothing else: tables, charts of them (with Chart.js,
 *  if the library was built with it), style for screen, dark screen and print.
 *
 *  What the page shows follows from the document alone; keys that are missing leave parts out. A
 *  document with "rows" is a sweep: a table of all combinations, each with its figures, and what
 *  "details" and "passes" of a row hold; one with "distributions" shows how figures are spread,
 *  each with {"name", "n_all", "n_found", "mark", "values" (ascending)}, under "title", "about" and
 *  "what" of the document; else it is a repair, with its own. "details" are those of
 *  nm_report_details(), "passes" those of a strategy.
 *
 *  @param document  JSON, as `netmend repair --json` and `netmend sweep --json` print it
 *  @param path      the page; it appears only when complete
 *  @return NM_E_FORMAT if the document is no JSON object; NM_E_IO; NM_E_NOMEM */
NM_API nm_status nm_report_page(const char *document, const char *path, nm_err *err);

#ifdef __cplusplus
}
#endif
#endif
