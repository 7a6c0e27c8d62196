/* Messages: those received, and those prepared for publishing or as a will.
 *
 * A message handed to a callback is borrowed until the callback returns; tern_message_keep() makes a copy
 * of your own. A message from tern_message_new(), tern_message_keep() or a `_wait` call is yours: unref it
 * once. Text of a message is NUL-terminated as well as counted. A message is not changed by two threads at
 * a time; reading is free.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_MESSAGE_H
#define TERN_MESSAGE_H

#include <tern/types.h>

TERN_BEGIN_DECLS

/** Prepares a message for tern_client_publish_message() or as a will; topic and payload are copied. flags
 * as in tern_client_publish(). Errors: TERN_E_INVALID, TERN_E_UTF8, TERN_E_TOPIC, TERN_E_TOO_LARGE,
 * TERN_E_NOMEM. Thread: any. Blocks: no. (MQTT 5 section 3.3) */
TERN_API int tern_message_new(tern_message **message, const char *topic, const void *payload,
                              size_t payload_length, uint32_t flags);
/** A copy of a received message that outlives its callback and can be published again. *copy is NULL on
 * failure. Errors: TERN_E_INVALID, TERN_E_NOMEM. Thread: any. Blocks: no. */
TERN_API int tern_message_keep(const tern_message *message, tern_message **copy);
/** Frees a message of your own; NULL does nothing. Thread: any. Blocks: no. */
TERN_API void tern_message_unref(tern_message *message);

/* ---- building: each needs a message of your own, and answers TERN_E_STATE for a borrowed one ---- */

/** Replaces the topic name. Errors: TERN_E_INVALID, TERN_E_STATE, TERN_E_UTF8, TERN_E_TOPIC,
 * TERN_E_TOO_LARGE, TERN_E_NOMEM. */
TERN_API int tern_message_set_topic(tern_message *message, const char *topic);
/** Replaces the payload. Errors: TERN_E_INVALID, TERN_E_STATE, TERN_E_TOO_LARGE, TERN_E_NOMEM. */
TERN_API int tern_message_set_payload(tern_message *message, const void *payload,
                                      size_t payload_length);
/** Replaces the flags (QoS, retain). Errors: TERN_E_INVALID, TERN_E_STATE. */
TERN_API int tern_message_set_flags(tern_message *message, uint32_t flags);
/** Payload Format Indicator: 1 says that the payload is UTF-8 text. Errors: TERN_E_INVALID, TERN_E_STATE,
 * TERN_E_NOMEM. (MQTT 5 section 3.3.2.3.2) */
TERN_API int tern_message_set_payload_format(tern_message *message, int utf8);
/** Message Expiry Interval in seconds, counted from the call that publishes: what waits longer is
 * NOT_SENT(expired). Errors: TERN_E_INVALID, TERN_E_STATE, TERN_E_NOMEM. (MQTT 5 section 3.3.2.3.3) */
TERN_API int tern_message_set_expiry(tern_message *message, uint32_t seconds);
/** Content Type. Errors: TERN_E_INVALID, TERN_E_STATE, TERN_E_UTF8, TERN_E_TOO_LARGE, TERN_E_NOMEM. */
TERN_API int tern_message_set_content_type(tern_message *message, const char *content_type);
/** Response Topic. Errors: as tern_message_set_topic(). (MQTT 5 section 3.3.2.3.5) */
TERN_API int tern_message_set_response_topic(tern_message *message, const char *topic);
/** Correlation Data, at most 65,535 bytes. Errors: TERN_E_INVALID, TERN_E_STATE, TERN_E_TOO_LARGE,
 * TERN_E_NOMEM. */
TERN_API int tern_message_set_correlation_data(tern_message *message, const void *data,
                                               size_t length);
/** Adds a user property; order is kept. Errors: TERN_E_INVALID, TERN_E_STATE, TERN_E_UTF8,
 * TERN_E_TOO_LARGE, TERN_E_NOMEM. (MQTT 5 section 3.3.2.3.7) */
TERN_API int tern_message_add_user_property(tern_message *message, const char *name,
                                            const char *value);
/** Removes all properties. Errors: TERN_E_INVALID, TERN_E_STATE. */
TERN_API int tern_message_clear_properties(tern_message *message);

/* ---- reading: borrowed from the message; NULL, 0 or -1 where absent. Thread: any. Blocks: no. ---- */

/** Topic name, NUL-terminated. */
TERN_API const char *tern_message_topic(const tern_message *message);
/** Bytes of the topic name. */
TERN_API size_t tern_message_topic_length(const tern_message *message);
/** Payload; never NULL, a NUL follows its last byte. */
TERN_API const void *tern_message_payload(const tern_message *message);
/** Bytes of the payload. */
TERN_API size_t tern_message_payload_length(const tern_message *message);
/** Payload as NUL-terminated text (which ends early where the payload holds a NUL byte). */
TERN_API const char *tern_message_text(const tern_message *message);
/** Quality of service, 0..2. */
TERN_API int tern_message_qos(const tern_message *message);
/** 1 for a retained message. */
TERN_API int tern_message_retained(const tern_message *message);
/** 1 where the sender set DUP: it may have been delivered before. */
TERN_API int tern_message_duplicate(const tern_message *message);
/** Payload Format Indicator, 0 or 1; -1 where absent. */
TERN_API int tern_message_payload_format(const tern_message *message);
/** Message Expiry Interval: 1 and the seconds in *seconds, or 0 where absent. */
TERN_API int tern_message_expiry(const tern_message *message, uint32_t *seconds);
/** Content Type, NULL where absent; not NUL-terminated, `*length` bytes. */
TERN_API const char *tern_message_content_type(const tern_message *message, size_t *length);
/** Response Topic, NULL where absent; not NUL-terminated, `*length` bytes. */
TERN_API const char *tern_message_response_topic(const tern_message *message, size_t *length);
/** Correlation Data, NULL where absent. */
TERN_API const void *tern_message_correlation_data(const tern_message *message, size_t *length);
/** Number of user properties. */
TERN_API size_t tern_message_user_property_count(const tern_message *message);
/** The user property at index: borrowed name and value, not NUL-terminated. Errors: TERN_E_INVALID,
 * TERN_E_NOT_FOUND. */
TERN_API int tern_message_user_property(const tern_message *message, size_t index, const char **name,
                                        size_t *name_length, const char **value,
                                        size_t *value_length);
/** Number of subscription identifiers. */
TERN_API size_t tern_message_subscription_id_count(const tern_message *message);
/** The subscription identifier at index, 0 beyond. */
TERN_API uint32_t tern_message_subscription_id(const tern_message *message, size_t index);

TERN_END_DECLS

#endif
