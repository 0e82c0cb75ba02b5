/* Tokens of VNN-LIB text. */
#ifndef NM_IO_VNNLIB_LEX_H
#define NM_IO_VNNLIB_LEX_H

#include "base/err.h"

typedef enum nm_token_kind {
    NM_TOKEN_END,
    NM_TOKEN_OPEN,
    NM_TOKEN_CLOSE,
    NM_TOKEN_WORD
} nm_token_kind;

typedef struct nm_token {
    nm_token_kind kind;
    const char *begin, *end; /* of a word; "strings" and |symbols| are words with their quotes */
    int64_t line, column;    /* from 1 */
} nm_token;

typedef struct nm_lexer {
    const char *p, *end;
    const char *line_start;
    int64_t line;
    nm_err *err;
} nm_lexer;

/** The next token. @return NM_E_FORMAT at a byte that has no place in the text */
nm_status nm_lex(nm_lexer *lexer, nm_token *out);

bool nm_token_is(const nm_token *token, const char *word);

/** Records a failure at a token: "LINE:COLUMN: ...". @return `code` */
nm_status nm_lex_fail(const nm_lexer *lexer, const nm_token *at, nm_status code, const char *fmt,
                      ...) NM_PRINTF(4, 5);

/** A word for messages: at most 40 characters of it. Use with "%.*s". */
int nm_token_shown(const nm_token *token);

#endif
