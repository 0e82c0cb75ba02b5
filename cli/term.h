/* What the terminal sees besides results: messages, the progress line, colour. */
#ifndef NM_CLI_TERM_H
#define NM_CLI_TERM_H

#include <stdio.h>

#include "netmend/base.h"

typedef enum nm_color { NM_COLOR_AUTO, NM_COLOR_ALWAYS, NM_COLOR_NEVER } nm_color;

/** Standard error of one run. */
typedef struct nm_term {
    const char *verb;   /**< for "netmend VERB: ..."; NULL before the verb is known */
    bool quiet;         /**< neither warnings nor progress */
    bool verbose;       /**< library information, too */
    nm_color color;     /**< wanted */
    bool live;          /**< the progress line may be drawn */
    bool line_on;       /**< it stands there now */
    double last_update; /**< when it was drawn, seconds of nm_term_now() */
} nm_term;

/** Decides from streams and environment whether there is a live line. */
void nm_term_start(nm_term *term);

/** Whether to write colour to this stream: as asked; by default on terminals that have it. */
bool nm_term_colored(const nm_term *term, FILE *stream);

/** Removes the progress line. */
void nm_term_clear(nm_term *term);

/** "netmend VERB: text" on standard error; control characters are shown as '?'. */
void nm_term_error(nm_term *term, const char *text);

/** Sinks for nm_ctx_set_log() and nm_ctx_set_progress(); `user` is the nm_term. */
void nm_term_log(void *user, nm_log_level level, const char *line);
void nm_term_progress(void *user, const char *what, int64_t done, int64_t total, double value);

/** Monotonic seconds. */
double nm_term_now(void);

#endif
