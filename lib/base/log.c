/* Log records: formatted once, one line, no control characters.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

void tern__log_clean(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p != '\0'; p++)
        if (*p < 0x20 || *p == 0x7F) *p = '?';
}

void tern__log_write(const tern__log *log, tern_log_level level, const char *format, ...)
{
    if (!tern__log_on(log, level)) return;
    char text[1000];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tern__log_clean(text);
    log->callback(level, text, log->user_data);
}
