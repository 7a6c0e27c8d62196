/* What the opening handshakes of filters share.
 * SPDX-License-Identifier: Apache-2.0 */
#include "transport/handshake.h"

#include <stdio.h>
#include <tern/error.h>

#include "platform/os_error.h"

void tern__handshake_lost(const tern__handshake_place *place, const tern__stream *below, int rc,
                          tern__stream_failure *failure)
{
    tern__stream_failure cause;
    char words[100];
    int os_error = tern__stream_os_error(below);
    if (tern__stream_explain(below, &cause)) {
        *failure = cause;
    } else if (rc != TERN_E_CONNECTION_LOST) {
        failure->error = rc;
        failure->hint[0] = '\0';
        snprintf(failure->text, sizeof failure->text, "%.100s: %s: %s", place->peer, place->doing,
                 tern_strerror(rc));
    } else if (os_error != 0) {
        failure->os_error = os_error;
        snprintf(failure->text, sizeof failure->text, "%.100s: the connection broke during %s: %s",
                 place->peer, place->doing, tern__os_error_text(os_error, words, sizeof words));
    } else {
        snprintf(failure->text, sizeof failure->text, "%.100s: %s ended the connection %s %s",
                 place->peer, place->who,
                 place->answered ? "in the middle of its answer to" : "without answering",
                 place->doing);
    }
}

int tern__handshake_wait(tern__stream *below, bool read)
{
    int rc = tern__stream_watch(below, read, !read);
    return rc == 0 ? TERN_E_AGAIN : rc;
}
