/* What is behind tern_message: a view of a record in an inbound block, or one of the user's own with its memory.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_ENGINE_MESSAGE_H
#define TERN_ENGINE_MESSAGE_H

#include <stdbool.h>
#include <tern/message.h>

#include "base/buf.h"
#include "engine/inbound.h"

/* record is what the accessors read. Handing a record to a callback costs no more than setting these members. */
struct tern_message {
    const tern__record *record;
    uint64_t epoch;                 /* of the connection it came on; 0 for one that was made here */
    struct tern__own_message *own;  /* NULL for a borrowed one */
    uint32_t mark;
};

/* A message with memory of its own: `base` is the handle, record points into the buffers. */
typedef struct tern__own_message {
    tern_message base;
    tern__record record; /* topic, payload and props point into the buffers below */
    bool lose_properties;
    uint32_t hints; /* TERN_COMPRESS, TERN_UNCOMPRESSED */
    tern__buf topic;
    tern__buf payload;
    tern__buf props; /* wire form, checked */
} tern__own_message;

#endif
