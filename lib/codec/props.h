/* Properties of MQTT 5: one table with id, type, packets and whether it may repeat; reading and writing.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CODEC_PROPS_H
#define TERN_CODEC_PROPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "codec/packet.h"

enum tern__prop_id {
    TERN__PROP_PAYLOAD_FORMAT = 1,
    TERN__PROP_MESSAGE_EXPIRY = 2,
    TERN__PROP_CONTENT_TYPE = 3,
    TERN__PROP_RESPONSE_TOPIC = 8,
    TERN__PROP_CORRELATION_DATA = 9,
    TERN__PROP_SUBSCRIPTION_ID = 11,
    TERN__PROP_SESSION_EXPIRY = 17,
    TERN__PROP_ASSIGNED_CLIENT_ID = 18,
    TERN__PROP_SERVER_KEEP_ALIVE = 19,
    TERN__PROP_AUTH_METHOD = 21,
    TERN__PROP_AUTH_DATA = 22,
    TERN__PROP_REQUEST_PROBLEM_INFO = 23,
    TERN__PROP_WILL_DELAY = 24,
    TERN__PROP_REQUEST_RESPONSE_INFO = 25,
    TERN__PROP_RESPONSE_INFO = 26,
    TERN__PROP_SERVER_REFERENCE = 28,
    TERN__PROP_REASON_STRING = 31,
    TERN__PROP_RECEIVE_MAXIMUM = 33,
    TERN__PROP_TOPIC_ALIAS_MAXIMUM = 34,
    TERN__PROP_TOPIC_ALIAS = 35,
    TERN__PROP_MAXIMUM_QOS = 36,
    TERN__PROP_RETAIN_AVAILABLE = 37,
    TERN__PROP_USER_PROPERTY = 38,
    TERN__PROP_MAXIMUM_PACKET_SIZE = 39,
    TERN__PROP_WILDCARD_AVAILABLE = 40,
    TERN__PROP_SUBSCRIPTION_ID_AVAILABLE = 41,
    TERN__PROP_SHARED_AVAILABLE = 42
};

/* One property. Which members hold it depends on its type: number, text (utf8, binary, pair's value) or name (pair). */
typedef struct tern__prop {
    uint8_t id;
    uint32_t number;
    tern__view name;
    tern__view text;
} tern__prop;

/* Where properties stand: a packet type, or a will. */
enum { TERN__PROPS_WILL = 0 };

/* Checks a property block (without its length) that came in a packet of type `where`: ids, legality there, repetition,
 * values, UTF-8, lengths. Fills in props. 0, TERN_E_MALFORMED or TERN_E_PROTOCOL with fault (offset into the block). */
int tern__props_check(const uint8_t *data, size_t len, int where, tern__sender sender, tern__props *props,
                      tern__fault *fault);

static inline bool tern__props_has(const tern__props *props, int id)
{
    return (props->present >> id & 1) != 0;
}

/* Next property of a checked block; `rest` starts as {props->data, props->len} and advances. False at the end. */
bool tern__props_next(tern__view *rest, tern__prop *prop);
/* The first property with that id; false where absent. */
bool tern__props_find(const tern__props *props, int id, tern__prop *prop);
/* Its number, or `fallback` where absent. */
uint32_t tern__props_number(const tern__props *props, int id, uint32_t fallback);

/* Appends a property in wire form. The value's type must fit the id. 0 or TERN_E_NOMEM. */
int tern__props_add_number(tern__buf *buf, int id, uint32_t value);
int tern__props_add_text(tern__buf *buf, int id, const void *data, size_t len);
int tern__props_add_pair(tern__buf *buf, const void *name, size_t name_len, const void *value, size_t value_len);
/* Removes every property with that id from a checked block in a buffer (used by setters that replace). */
void tern__props_remove(tern__buf *buf, int id);

#endif
