/* Percent-encoding of text in topics, user names and tokens (RFC 3986 section 2.1).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CLOUD_PERCENT_H
#define TERN_CLOUD_PERCENT_H

#include <stddef.h>

#include "base/buf.h"

/* Appends the text with all but letters, digits and -._~ encoded; characters of `keep` stay as they are. 0 or TERN_E_NOMEM. */
int tern__percent_encode(tern__buf *out, const char *text, size_t len, const char *keep);
/* Appends what the text stands for; where that is no text (a broken escape, a NUL, no UTF-8), the text as it is. 0 or
 * TERN_E_NOMEM. */
int tern__percent_decode(tern__buf *out, const char *text, size_t len);

#endif
