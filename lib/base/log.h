/* Log records: formatted once, one line, no control characters, never a secret.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_BASE_LOG_H
#define TERN_BASE_LOG_H

#include <tern/options.h>

/* Where records go; constant after set-up. callback is NULL where nothing is logged. */
typedef struct tern__log {
    tern_log_level level;
    tern_log_callback callback;
    void *user_data;
} tern__log;

static inline int tern__log_on(const tern__log *log, tern_log_level level)
{
    return log->callback != NULL && level <= log->level;
}

/* Formats and hands over a record; control bytes become '?'. Records over 1,000 bytes are cut. */
void tern__log_write(const tern__log *log, tern_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Replaces control bytes in text that came from the peer, in place. */
void tern__log_clean(char *text);

#endif
