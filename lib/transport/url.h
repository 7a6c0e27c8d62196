/* What every URL is made of, for the parsers of server and proxy URLs: bytes, scheme, user info,
 * host and port. Refusals say where (from 1) and why.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TRANSPORT_URL_H
#define TERN_TRANSPORT_URL_H

#include <stddef.h>
#include <stdint.h>

/* A piece of the text, `end` exclusive. */
typedef struct tern__url_piece {
    const char *at;
    const char *end;
} tern__url_piece;

/* A parse under way. What was written in the text is never repeated in `why`, since it may be a
 * piece of a password. */
typedef struct tern__url_parser {
    const char *text;
    char *out; /* the next free byte for decoded parts, of which all have room */
    char *why;
    size_t why_size;
    char *host; /* these four are set by tern__url_authority(), NULL where absent */
    char *user;
    char *password;
    uint16_t port;
} tern__url_parser;

/* The memory that the decoded parts of a text and a display of it need at most. */
size_t tern__url_room(const char *text);
static inline size_t tern__url_len(tern__url_piece piece)
{
    return (size_t)(piece.end - piece.at);
}

/* Writes "position N: reason" and answers the error. */
int tern__url_refuse(const tern__url_parser *self, int error, const char *at, const char *format,
                     ...) __attribute__((format(printf, 4, 5)));
/* No spaces or control characters: 0 or TERN_E_URL. */
int tern__url_check_bytes(const tern__url_parser *self);
/* What stands before "://", whose characters are checked, and what follows it; *rest is NULL where
 * there is no such mark. `example` is a URL as it should be. 0 or TERN_E_URL. */
int tern__url_scheme(const tern__url_parser *self, const char *example, tern__url_piece *name,
                     const char **rest);
/* Copies a part, or resolves its percent escapes (0 or TERN_E_URL). */
char *tern__url_copy(tern__url_parser *self, const char *text, size_t len);
int tern__url_decode(tern__url_parser *self, tern__url_piece piece, char **decoded);
/* [user[:password]@]host[:port]: 0 or TERN_E_URL. */
int tern__url_authority(tern__url_parser *self, tern__url_piece authority, uint16_t default_port);
/* Appends the URL without user info, and returns it. */
char *tern__url_display(tern__url_parser *self, const char *scheme);

#endif
