/** @file
 * Messages: those received, and those prepared for publishing or as a will.
 *
 * A message handed to a callback is borrowed until the callback returns; tern_message_keep() makes
 * a copy of your own. A message from tern_message_new(), tern_message_keep(), tern_client_receive()
 * or tern_client_receive_wait() is yours: unref it once. Topic and payload are NUL-terminated as
 * well as counted; properties are counted alone. Any number of threads may read a message while
 * none changes it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_MESSAGE_H
#define TERN_MESSAGE_H

#include <tern/types.h>

TERN_BEGIN_DECLS

/** Prepares a message for tern_client_publish_message() or as a will; topic and payload are copied,
 * flags are as in tern_client_publish(). It is the caller's. Errors: TERN_E_INVALID (also QoS 3,
 * unknown flags, a length without a payload), TERN_E_UTF8, TERN_E_TOPIC (empty, or with wildcards),
 * TERN_E_TOO_LARGE (topic over 65,535 bytes, payload over 268,435,455), TERN_E_NOMEM. Thread: any.
 * Blocks: no. (MQTT 5 section 3.3) */
TERN_API int tern_message_new(tern_message **message, const char *topic, const void *payload,
                              size_t payload_length, uint32_t flags);
/** Makes a copy of a message, which outlives the callback, can be acknowledged in manual mode,
 * changed, and published again. It is the caller's. Errors: TERN_E_INVALID, TERN_E_NOMEM. Thread:
 * any. Blocks: no. */
TERN_API int tern_message_keep(const tern_message *message, tern_message **copy);
/** Frees a message of your own; NULL and borrowed ones are left alone. Thread: any. Blocks: no. */
TERN_API void tern_message_unref(tern_message *message);

/** @name Building a message
 * Each copies what it is given, replaces what was there, and needs a message of your own: for a
 * borrowed one it answers TERN_E_STATE. On failure the message is as it was. Properties need MQTT
 * 5: see TERN_LOSE_PROPERTIES. Thread: any, one at a time. Blocks: no.
 * @{ */
/** Replaces the topic name. Errors: TERN_E_INVALID, TERN_E_STATE, TERN_E_UTF8, TERN_E_TOPIC (empty,
 * or with wildcards), TERN_E_TOO_LARGE (over 65,535 bytes), TERN_E_NOMEM. */
TERN_API int tern_message_set_topic(tern_message *message, const char *topic);
/** Replaces the payload; NULL with length 0 for none. Errors: TERN_E_INVALID, TERN_E_STATE,
 * TERN_E_TOO_LARGE (over 268,435,455 bytes), TERN_E_NOMEM. */
TERN_API int tern_message_set_payload(tern_message *message, const void *payload,
                                      size_t payload_length);
/** Replaces the flags (those of a publish: tern_flag). Errors: TERN_E_INVALID (also QoS 3 and unknown
 * flags), TERN_E_STATE. */
TERN_API int tern_message_set_flags(tern_message *message, uint32_t flags);
/** Sets the Payload Format Indicator: 1 says that the payload is UTF-8 text, which is not checked;
 * else 0. Errors: TERN_E_INVALID (also another value), TERN_E_STATE, TERN_E_NOMEM. (MQTT 5 section
 * 3.3.2.3.2) */
TERN_API int tern_message_set_payload_format(tern_message *message, int utf8);
/** Sets the Message Expiry Interval in seconds, counted from the call that publishes: what waits
 * longer for its first byte to go out is NOT_SENT(expired), and what goes out says how much is
 * left, at least 1 s. Errors: TERN_E_INVALID, TERN_E_STATE, TERN_E_NOMEM. (MQTT 5 section
 * 3.3.2.3.3) */
TERN_API int tern_message_set_expiry(tern_message *message, uint32_t seconds);
/** Sets the Content Type. Errors: TERN_E_INVALID, TERN_E_STATE, TERN_E_UTF8, TERN_E_TOO_LARGE (over
 * 65,535 bytes), TERN_E_NOMEM. (MQTT 5 section 3.3.2.3.9) */
TERN_API int tern_message_set_content_type(tern_message *message, const char *content_type);
/** Sets the Response Topic. Errors: as tern_message_set_topic(). (MQTT 5 section 3.3.2.3.5) */
TERN_API int tern_message_set_response_topic(tern_message *message, const char *topic);
/** Sets the Correlation Data, any bytes. Errors: TERN_E_INVALID, TERN_E_STATE, TERN_E_TOO_LARGE
 * (over 65,535 bytes), TERN_E_NOMEM. (MQTT 5 section 3.3.2.3.6) */
TERN_API int tern_message_set_correlation_data(tern_message *message, const void *data,
                                               size_t length);
/** Adds a user property behind those that are there. Errors: TERN_E_INVALID, TERN_E_STATE,
 * TERN_E_UTF8, TERN_E_TOO_LARGE (name or value over 65,535 bytes, or too many), TERN_E_NOMEM. (MQTT
 * 5 section 3.3.2.3.7) */
TERN_API int tern_message_add_user_property(tern_message *message, const char *name,
                                            const char *value);
/** Removes every user property of that name. Errors: TERN_E_INVALID, TERN_E_STATE, TERN_E_NOT_FOUND (there
 * was none). */
TERN_API int tern_message_remove_user_property(tern_message *message, const char *name);
/** Sets the mark: a number that goes with the message inside this process and is never sent. Transforms
 * use it to say what they found; copies keep it. Errors: TERN_E_INVALID, TERN_E_STATE. */
TERN_API int tern_message_set_mark(tern_message *message, uint32_t mark);
/** Removes all properties, also those of a message that was received. Errors: TERN_E_INVALID,
 * TERN_E_STATE. */
TERN_API int tern_message_clear_properties(tern_message *message);
/** @} */

/** @name Reading a message
 * What is returned is borrowed from the message until it is changed, freed or given back; NULL, 0
 * or -1 where it is absent. A `length` may be NULL where it is not wanted. Thread: any. Blocks: no.
 * @{ */
/** Topic name, NUL-terminated. */
TERN_API const char *tern_message_topic(const tern_message *message);
/** Bytes of the topic name. */
TERN_API size_t tern_message_topic_length(const tern_message *message);
/** Payload; never NULL, and a NUL follows its last byte. */
TERN_API const void *tern_message_payload(const tern_message *message);
/** Bytes of the payload. */
TERN_API size_t tern_message_payload_length(const tern_message *message);
/** Payload as NUL-terminated text, never NULL; it ends early where the payload holds a NUL byte. */
TERN_API const char *tern_message_text(const tern_message *message);
/** Quality of service, 0..2. */
TERN_API int tern_message_qos(const tern_message *message);
/** 1 where RETAIN is set: of a received message, that the broker had kept it. (MQTT 5 section
 * 3.3.1.3) */
TERN_API int tern_message_retained(const tern_message *message);
/** 1 where the broker set DUP: it may have been delivered before. (MQTT 5 section 3.3.1.1) */
TERN_API int tern_message_duplicate(const tern_message *message);
/** What tern_client_ack_number() knows a received message by; 0 for QoS 0, and for one that was made here. Of two
 * messages of a connection the later has the larger, until the numbers start over after 4,294,967,295. */
TERN_API uint64_t tern_message_ack_number(const tern_message *message);
/** The mark, 0 where none was set. */
TERN_API uint32_t tern_message_mark(const tern_message *message);
/** Payload Format Indicator, 0 or 1; -1 where absent. */
TERN_API int tern_message_payload_format(const tern_message *message);
/** Message Expiry Interval: 1 and the seconds in `*seconds` (may be NULL), or 0 where absent. */
TERN_API int tern_message_expiry(const tern_message *message, uint32_t *seconds);
/** Content Type, NULL where absent; not NUL-terminated, `*length` bytes. */
TERN_API const char *tern_message_content_type(const tern_message *message, size_t *length);
/** Response Topic, NULL where absent; not NUL-terminated, `*length` bytes. */
TERN_API const char *tern_message_response_topic(const tern_message *message, size_t *length);
/** Correlation Data, NULL where absent; `*length` bytes. */
TERN_API const void *tern_message_correlation_data(const tern_message *message, size_t *length);
/** Number of user properties. */
TERN_API size_t tern_message_user_property_count(const tern_message *message);
/** The user property at index: name and value, not NUL-terminated; each of the four may be NULL.
 * Errors: TERN_E_INVALID (message is NULL), TERN_E_NOT_FOUND (index is beyond). */
TERN_API int tern_message_user_property(const tern_message *message, size_t index, const char **name,
                                        size_t *name_length, const char **value,
                                        size_t *value_length);
/** Number of Subscription Identifiers: of the subscriptions that brought the message. */
TERN_API size_t tern_message_subscription_id_count(const tern_message *message);
/** The Subscription Identifier at index; 0 beyond. (MQTT 5 section 3.3.2.3.8) */
TERN_API uint32_t tern_message_subscription_id(const tern_message *message, size_t index);
/** @} */

TERN_END_DECLS

#endif
