/* Pieces of an HTML page. Everything that comes from files or data goes through nm_html_text(). */
#ifndef NM_REPORT_HTML_H
#define NM_REPORT_HTML_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/** Text for content and for quoted attributes: the five special characters become references, and
 *  control characters the replacement character. NULL writes nothing. */
void nm_html_text(FILE *to, const char *text);

/** A number with four significant digits and a '.' in any locale; a dash if it is not finite. */
void nm_html_number(FILE *to, double value);

/** A share of 1 in per cent ("97.33 %"); 100 only if it is. */
void nm_html_share(FILE *to, double share);

/** Points of accuracy with a sign ("+1.25", "0", true minus). */
void nm_html_points(FILE *to, double points);

/** Bytes in base64 (RFC 4648), as data URIs take them. */
void nm_html_base64(FILE *to, const void *data, size_t n);

/** A JSON value for a <script> element: no '<' in it, so that nothing can close the element. */
void nm_html_json(FILE *to, const json_t *value);

/** Opens a section with a heading; close with "</section>\n". */
void nm_html_open_section(FILE *to, const char *id, const char *title);

/** Opens a table with a caption (NULL: none) and column heads, separated by '|'; then rows follow.
 *  A head that begins with '#' stands over numbers. Close with nm_html_close_table(). */
void nm_html_open_table(FILE *to, const char *caption, const char *heads);
void nm_html_close_table(FILE *to);

/** The same, with further heads over numbers (any text) added before the heads are closed. */
void nm_html_open_heads(FILE *to, const char *heads);
void nm_html_head(FILE *to, const char *text);
void nm_html_close_heads(FILE *to);

/** One cell of a row: text, or a number written by `write` (NULL: nm_html_number). */
void nm_html_cell(FILE *to, const char *text);
void nm_html_number_cell(FILE *to, double value, void (*write)(FILE *, double));

/** The head of a row: opens the row, too. */
void nm_html_row(FILE *to, const char *head);

/* -- reading the document: what is not there has an empty answer --------------------------------
 */

const char *nm_html_string(const json_t *object, const char *key); /**< NULL if none */
double nm_html_real(const json_t *object, const char *key);        /**< NAN if none */
bool nm_html_has(const json_t *object, const char *key);           /**< there, and not null */

/** Any value as a cell shows it: texts and numbers as they are, lists with commas between. */
void nm_html_value(FILE *to, const json_t *value);

#endif
