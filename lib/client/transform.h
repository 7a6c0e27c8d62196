/* Transforms: what changes messages on their way out and in, and the runs through them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CLIENT_TRANSFORM_H
#define TERN_CLIENT_TRANSFORM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <tern/transform.h>

#include "engine/outbox.h"

struct tern_transform {
    atomic_uint refs;
    /* Constant. */
    tern_outgoing_callback outgoing;
    tern_incoming_callback incoming;
    tern_release_callback release;
    void *user_data;
};

struct tern_outgoing {
    const tern_message *message; /* `own`, or what the caller publishes */
    tern_message *own;           /* by a transform; NULL none */
    tern_message *before[TERN__UNIT_MAX - 1]; /* go out right before it, in this order */
    size_t before_from[TERN__UNIT_MAX - 1];   /* the first transform that each has yet to pass */
    size_t at;     /* the transform that is asked */
    bool companion; /* it goes before another message itself */
    size_t before_count;
    uint32_t flags;
    char text[200]; /* why it is refused; "" where nobody said */
};

struct tern_incoming {
    tern_message *message; /* `own`, or what came */
    tern_message *own; /* by a transform; NULL none */
    bool dropped;
};

enum { TERN__TRANSFORMS_MAX = 8 };

/* A client's transforms, in the order in which outgoing messages pass them. */
typedef struct tern__transforms {
    tern_transform *at[TERN__TRANSFORMS_MAX];
    size_t count;
} tern__transforms;

void tern__transforms_ref(const tern__transforms *transforms);
void tern__transforms_unref(tern__transforms *transforms);

/* Leads a message out. 0, or the error that its publish answers, with `text` set. outgoing is to be given to
 * tern__outgoing_deinit() either way. */
int tern__transforms_out(const tern__transforms *transforms, tern_client *client, const tern_message *message,
                         uint32_t flags, tern_outgoing *outgoing);
void tern__outgoing_deinit(tern_outgoing *outgoing);
/* Leads a message in: incoming->own is the caller's to unref. */
void tern__transforms_in(const tern__transforms *transforms, tern_client *client, tern_message *message,
                         tern_incoming *incoming);

#endif
