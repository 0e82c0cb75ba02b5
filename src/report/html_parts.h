/* The parts of the pages. Each writes nothing where the document has nothing for it. */
#ifndef NM_REPORT_HTML_PARTS_H
#define NM_REPORT_HTML_PARTS_H

#include "report/html.h"

/** Everything between header and footer of a repair, and of a sweep. */
void nm_html_repair(FILE *to, const json_t *document);
void nm_html_sweep(FILE *to, const json_t *document);

/** How figures are spread: "distributions" of the document, with its "title", "about" and "what".
 */
void nm_html_distributions(FILE *to, const json_t *document);

/** The table of all combinations of a sweep with its choice of figure; each cell links to
 *  "#row-<index>". */
void nm_html_grid(FILE *to, const json_t *rows);

/** What depends on the size and the mix of the repair sets, and on the size of the change. */
void nm_html_sweep_charts(FILE *to, const json_t *rows);

/** Passes of a strategy over a repair set of n_set points, and which network was kept. */
void nm_html_passes(FILE *to, const json_t *passes, double n_set);

/** Scores of the layers by all heuristics ("layer_votes" and "heuristics" of the document). */
void nm_html_votes(FILE *to, const json_t *document);

/** What nm_report_details() found: classes, confusions, regions, points. Headings are h3.
 *  @param name  of the combination, for texts in place of pictures */
void nm_html_details(FILE *to, const json_t *details, const char *name);

/** A paragraph of "status" and "reason" of a result. */
void nm_html_status(FILE *to, const json_t *result);

/** A table of the keys of an object and their values. */
void nm_html_facts(FILE *to, const json_t *object, const char *caption);

/** The same, folded away. */
void nm_html_folded_facts(FILE *to, const json_t *object, const char *title);

#endif
