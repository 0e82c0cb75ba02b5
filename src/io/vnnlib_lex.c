#include "io/vnnlib_lex.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_SHOWN = 40 };

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f';
}

static bool is_word_char(char c)
{
    return c > ' ' && c < 0x7f && !strchr("();\"|", c);
}

static bool ends_word(char c)
{
    return is_blank(c) || c == '(' || c == ')' || c == ';';
}

static void skip_blanks_and_comments(nm_lexer *lexer)
{
    for (; lexer->p < lexer->end; lexer->p++) {
        if (*lexer->p == '\n') {
            lexer->line++;
            lexer->line_start = lexer->p + 1;
        } else if (*lexer->p == ';') {
            const char *newline = memchr(lexer->p, '\n', (size_t)(lexer->end - lexer->p));

            lexer->p = newline ? newline - 1 : lexer->end - 1;
        } else if (!is_blank(*lexer->p)) {
            return;
        }
    }
}

nm_status nm_lex_fail(const nm_lexer *lexer, const nm_token *at, nm_status code, const char *fmt,
                      ...)
{
    char text[NM_ERR_TEXT];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return nm_fail(lexer->err, code, "%lld:%lld: %s", (long long)at->line, (long long)at->column,
                   text);
}

/* "..." and |...|, on one line. */
static nm_status take_quoted(nm_lexer *lexer, nm_token *out)
{
    char quote = *lexer->p++;

    while (lexer->p < lexer->end && *lexer->p != quote && *lexer->p != '\n')
        lexer->p++;
    if (lexer->p == lexer->end || *lexer->p == '\n')
        return nm_lex_fail(lexer, out, NM_E_FORMAT, "no closing %c on this line", quote);
    lexer->p++;
    out->end = lexer->p;
    return NM_OK;
}

nm_status nm_lex(nm_lexer *lexer, nm_token *out)
{
    skip_blanks_and_comments(lexer);
    *out = (nm_token){.kind = NM_TOKEN_END,
                      .begin = lexer->p,
                      .end = lexer->p,
                      .line = lexer->line,
                      .column = lexer->p - lexer->line_start + 1};
    if (lexer->p == lexer->end)
        return NM_OK;
    if (*lexer->p == '(' || *lexer->p == ')') {
        out->kind = *lexer->p == '(' ? NM_TOKEN_OPEN : NM_TOKEN_CLOSE;
        out->end = ++lexer->p;
        return NM_OK;
    }
    out->kind = NM_TOKEN_WORD;
    if (*lexer->p == '"' || *lexer->p == '|')
        return take_quoted(lexer, out);
    while (lexer->p < lexer->end && is_word_char(*lexer->p))
        lexer->p++;
    out->end = lexer->p;
    if (out->end > out->begin && (lexer->p == lexer->end || ends_word(*lexer->p)))
        return NM_OK;
    return nm_lex_fail(lexer, out, NM_E_FORMAT, "byte 0x%02x has no place here",
                       (unsigned)(unsigned char)*lexer->p);
}

bool nm_token_is(const nm_token *token, const char *word)
{
    size_t n = strlen(word);

    return token->kind == NM_TOKEN_WORD && (size_t)(token->end - token->begin) == n &&
           memcmp(token->begin, word, n) == 0;
}

int nm_token_shown(const nm_token *token)
{
    return token->end - token->begin > MAX_SHOWN ? MAX_SHOWN : (int)(token->end - token->begin);
}
