/** @file
 * Transforms: what changes messages on their way out and in.
 *
 * Compression, encryption, signing, a service's rules: a transform sees every message that is published
 * before it is accepted, and every received one before its handlers do. Transforms are given to the
 * client options, in the order in which outgoing messages pass them; received ones pass them the other
 * way round. A client keeps its transforms until it is freed.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TRANSFORM_H
#define TERN_TRANSFORM_H

#include <tern/types.h>

TERN_BEGIN_DECLS

/** Changes a message that is being published, on the thread that publishes, under no lock. It returns 0, or
 * the error that the publish answers; the text given to tern_outgoing_explain() says why. `outgoing` is
 * borrowed until it returns. The transform may not publish on the same client. */
typedef int (*tern_outgoing_callback)(tern_client *client, tern_outgoing *outgoing, void *user_data);
/** Changes a received message before its handlers see it: where callbacks run, or in
 * tern_client_receive(). `incoming` is borrowed until it returns. */
typedef void (*tern_incoming_callback)(tern_client *client, tern_incoming *incoming, void *user_data);
/** Told once, when nobody uses the transform any more. */
typedef void (*tern_release_callback)(void *user_data);

/** Makes a transform; it is the caller's, to be unreffed once. Each callback may be NULL: those messages
 * pass, and nobody is told of the end. One transform may serve many clients, also at the same time. Errors:
 * TERN_E_INVALID, TERN_E_NOMEM. Thread: any. Blocks: no. */
TERN_API int tern_transform_new(tern_transform **transform, tern_outgoing_callback outgoing,
                                tern_incoming_callback incoming, tern_release_callback release,
                                void *user_data);
/** Gives a reference back; the release callback runs with the last one. NULL does nothing. Thread: any.
 * Blocks: no. */
TERN_API void tern_transform_unref(tern_transform *transform);
/** Adds a transform to those of the clients that are made with these options, which keep a reference.
 * Errors: TERN_E_INVALID, TERN_E_TOO_LARGE (more than eight). Thread: any, one at a time. Blocks: no. */
TERN_API int tern_client_options_add_transform(tern_client_options *options,
                                               tern_transform *transform);

/** @name A message on its way out
 * Thread: that of the callback. Blocks: no.
 * @{ */
/** The message as it is by now, borrowed until the callback returns or changes it; NULL for NULL. Where the
 * application published a payload, not a prepared message, it lies in the application's memory: no NUL
 * follows it. */
TERN_API const tern_message *tern_outgoing_message(const tern_outgoing *outgoing);
/** The flags of the call that publishes, the TERN_COMPRESS and TERN_UNCOMPRESSED among them. */
TERN_API uint32_t tern_outgoing_flags(const tern_outgoing *outgoing);
/** Publishes this one instead. The message is taken over, also on failure. Errors: TERN_E_INVALID. */
TERN_API int tern_outgoing_replace(tern_outgoing *outgoing, tern_message *message);
/** Publishes this one right before it, as one unit with it: see tern_client_publish_unit(). It passes the
 * transforms that follow on its own, and its outcome is told to nobody. The message is taken over, also on
 * failure. Errors: TERN_E_INVALID, TERN_E_STATE (this message goes before another itself),
 * TERN_E_TOO_LARGE (more than 15). */
TERN_API int tern_outgoing_precede(tern_outgoing *outgoing, tern_message *message);
/** Says why it is about to be refused: one line for the client's error text, without "publish: ". Errors:
 * TERN_E_INVALID. */
TERN_API int tern_outgoing_explain(tern_outgoing *outgoing, const char *text);
/** @} */

/** @name A message on its way in
 * Thread: that of the callback. Blocks: no.
 * @{ */
/** The message as it is by now, borrowed until the callback returns or changes it; NULL for NULL. */
TERN_API const tern_message *tern_incoming_message(const tern_incoming *incoming);
/** Delivers this one instead: a changed copy from tern_message_keep(), so that it can be acknowledged. It
 * is taken over, also on failure. Errors: TERN_E_INVALID. */
TERN_API int tern_incoming_replace(tern_incoming *incoming, tern_message *message);
/** Sets the mark of what is delivered, see tern_message_set_mark(); this needs no copy, and no memory. Errors:
 * TERN_E_INVALID. */
TERN_API int tern_incoming_set_mark(tern_incoming *incoming, uint32_t mark);
/** Delivers nothing: the message is acknowledged as if its handlers had run, also in manual mode. Errors:
 * TERN_E_INVALID. */
TERN_API int tern_incoming_drop(tern_incoming *incoming);
/** @} */

TERN_END_DECLS

#endif
