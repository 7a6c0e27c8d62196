/* Messages: reading a record, borrowed or own, and building messages of one's own.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/message.h"

#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "codec/props.h"
#include "codec/topic.h"

enum {
    HINTS = TERN_COMPRESS | TERN_UNCOMPRESSED,
    FLAGS = 3 | TERN_RETAIN | TERN_LOSE_PROPERTIES | HINTS,
    TEXT_MAX = 65535,
    PAYLOAD_MAX = 268435455 /* no packet is longer; what does not fit beside its topic is refused at
                               publishing */
};

/* ---- building ---- */

static bool flags_legal(uint32_t flags)
{
    return (flags & 3) != 3 && (flags & ~(uint32_t)FLAGS) == 0; /* [MQTT5-3.3.1-4] */
}

/* Replaces what is in `buf` by a copy with a NUL behind it; on TERN_E_NOMEM the buffer is as it
 * was. */
static int replace(tern__buf *buf, const void *data, size_t len)
{
    tern__buf fresh;
    tern__buf_init(&fresh);
    int rc = tern__buf_reserve(&fresh, len + 1);
    if (rc != 0) return rc;
    (void)tern__buf_append(&fresh, data, len);
    fresh.data[len] = 0;
    tern__buf_deinit(buf); /* last: the data may come from this very buffer */
    *buf = fresh;
    return 0;
}

/* Points the record at the buffers. Which properties are there has not changed. */
static void point(tern__own_message *own)
{
    tern__record *record = &own->record;
    record->topic = own->topic.data;
    record->topic_len = (uint16_t)own->topic.len;
    record->payload = own->payload.data;
    record->payload_len = (uint32_t)own->payload.len;
    record->props = own->props.data;
    record->props_len = (uint32_t)own->props.len;
}

/* Points the record at the buffers, and looks which properties are there. */
static void refresh(tern__own_message *own)
{
    tern__record *record = &own->record;
    point(own);
    record->props_present = 0;
    tern__view rest = {own->props.data, own->props.len};
    tern__prop prop;
    while (tern__props_next(&rest, &prop))
        record->props_present |= UINT64_C(1) << prop.id;
}

static void free_own(tern__own_message *own)
{
    tern__buf_deinit(&own->topic);
    tern__buf_deinit(&own->payload);
    tern__buf_deinit(&own->props);
    tern__free(own);
}

/* A message with copies of what the three views hold. */
static int make(tern__own_message **made, tern__view topic, tern__view payload, tern__view props)
{
    tern__own_message *own = tern__calloc(1, sizeof *own);
    if (own == NULL) return TERN_E_NOMEM;
    own->base = (tern_message){.record = &own->record, .epoch = 0, .own = own};
    int rc = replace(&own->topic, topic.data, topic.len);
    if (rc == 0) rc = replace(&own->payload, payload.data, payload.len);
    if (rc == 0) rc = tern__buf_append(&own->props, props.data, props.len);
    if (rc != 0) {
        free_own(own);
        return rc;
    }
    refresh(own);
    *made = own;
    return 0;
}

static void set_flags(tern__own_message *own, uint32_t flags)
{
    own->record.qos = (uint8_t)(flags & 3);
    own->record.flags = (flags & TERN_RETAIN) != 0 ? TERN__RECORD_RETAIN : 0;
    own->lose_properties = (flags & TERN_LOSE_PROPERTIES) != 0;
    own->hints = flags & HINTS;
}

int tern_message_new(tern_message **message, const char *topic, const void *payload,
                     size_t payload_length, uint32_t flags)
{
    if (message == NULL) return TERN_E_INVALID;
    *message = NULL;
    if (topic == NULL || (payload == NULL && payload_length != 0) || !flags_legal(flags))
        return TERN_E_INVALID;
    size_t topic_len = strlen(topic);
    int rc = tern__topic_check(topic, topic_len); /* [MQTT5-3.3.2-1] [MQTT5-3.3.2-2] */
    if (rc == 0 && payload_length > PAYLOAD_MAX) rc = TERN_E_TOO_LARGE;
    if (rc != 0) return rc;
    tern__own_message *own;
    rc = make(&own, (tern__view){(const uint8_t *)topic, topic_len},
              (tern__view){payload, payload_length}, (tern__view){NULL, 0});
    if (rc != 0) return rc;
    set_flags(own, flags);
    *message = &own->base;
    return 0;
}

int tern_message_keep(const tern_message *message, tern_message **copy)
{
    if (copy == NULL) return TERN_E_INVALID;
    *copy = NULL;
    if (message == NULL) return TERN_E_INVALID;
    const tern__record *record = message->record;
    tern__own_message *own;
    int rc = make(&own, (tern__view){record->topic, record->topic_len},
                  (tern__view){record->payload, record->payload_len},
                  (tern__view){record->props, record->props_len});
    if (rc != 0) return rc;
    own->record.qos = record->qos;
    own->record.flags = record->flags & (TERN__RECORD_RETAIN | TERN__RECORD_DUP);
    own->record.ack_seq = record->ack_seq; /* a kept message can still be acknowledged by hand */
    own->base.epoch = message->epoch;
    if (message->own != NULL) {
        own->lose_properties = message->own->lose_properties;
        own->hints = message->own->hints;
    }
    own->base.mark = message->mark;
    *copy = &own->base;
    return 0;
}

void tern_message_unref(tern_message *message)
{
    if (message != NULL && message->own != NULL) free_own(message->own);
}

/* What every setter asks first: there is a message, its argument is there, and the message is the
 * caller's own. */
static int writable(const tern_message *message, bool argument)
{
    if (message == NULL || !argument) return TERN_E_INVALID;
    return message->own == NULL ? TERN_E_STATE : 0;
}

int tern_message_set_topic(tern_message *message, const char *topic)
{
    int rc = writable(message, topic != NULL);
    if (rc == 0) rc = tern__topic_check(topic, strlen(topic));
    if (rc == 0) rc = replace(&message->own->topic, topic, strlen(topic));
    if (rc == 0) point(message->own);
    return rc;
}

int tern_message_set_payload(tern_message *message, const void *payload, size_t payload_length)
{
    int rc = writable(message, payload != NULL || payload_length == 0);
    if (rc == 0 && payload_length > PAYLOAD_MAX) rc = TERN_E_TOO_LARGE;
    if (rc == 0) rc = replace(&message->own->payload, payload, payload_length);
    if (rc == 0) point(message->own);
    return rc;
}

int tern_message_set_flags(tern_message *message, uint32_t flags)
{
    int rc = writable(message, flags_legal(flags));
    if (rc == 0) set_flags(message->own, flags);
    return rc;
}

static int set_number(tern_message *message, int id, uint32_t value)
{
    tern__buf *props = &message->own->props;
    int rc = tern__buf_reserve(props, 5); /* so that adding cannot fail once the old one is gone */
    if (rc != 0) return rc;
    tern__props_remove(props, id);
    (void)tern__props_add_number(props, id, value);
    refresh(message->own);
    return 0;
}

/* The text may lie in the message itself (as read from it): so the new one is added before the old
 * one goes. */
static int set_text(tern_message *message, int id, const void *data, size_t len)
{
    tern__buf *props = &message->own->props;
    tern__buf fresh;
    tern__buf_init(&fresh);
    int rc = tern__buf_reserve(&fresh, props->len + 3 + len);
    if (rc != 0) return rc;
    (void)tern__buf_append(&fresh, props->data, props->len);
    tern__props_remove(&fresh, id);
    (void)tern__props_add_text(&fresh, id, data, len);
    tern__buf_deinit(props);
    *props = fresh;
    refresh(message->own);
    return 0;
}

static int check_text(const char *text, size_t len)
{
    if (len > TEXT_MAX) return TERN_E_TOO_LARGE;
    return tern__utf8_valid(text, len) ? 0 : TERN_E_UTF8; /* [MQTT5-1.5.4-1] */
}

int tern_message_set_payload_format(tern_message *message, int utf8)
{
    int rc = writable(message, utf8 == 0 || utf8 == 1);
    return rc != 0 ? rc : set_number(message, TERN__PROP_PAYLOAD_FORMAT, (uint32_t)utf8);
}

int tern_message_set_expiry(tern_message *message, uint32_t seconds)
{
    int rc = writable(message, true);
    return rc != 0 ? rc : set_number(message, TERN__PROP_MESSAGE_EXPIRY, seconds);
}

int tern_message_set_content_type(tern_message *message, const char *content_type)
{
    int rc = writable(message, content_type != NULL);
    if (rc == 0) rc = check_text(content_type, strlen(content_type)); /* [MQTT5-3.3.2-19] */
    return rc != 0 ? rc
                   : set_text(message, TERN__PROP_CONTENT_TYPE, content_type, strlen(content_type));
}

int tern_message_set_response_topic(tern_message *message, const char *topic)
{
    int rc = writable(message, topic != NULL);
    if (rc == 0)
        rc = tern__topic_check(topic, strlen(topic)); /* [MQTT5-3.3.2-13] [MQTT5-3.3.2-14] */
    return rc != 0 ? rc : set_text(message, TERN__PROP_RESPONSE_TOPIC, topic, strlen(topic));
}

int tern_message_set_correlation_data(tern_message *message, const void *data, size_t length)
{
    int rc = writable(message, data != NULL || length == 0);
    if (rc == 0 && length > TEXT_MAX) rc = TERN_E_TOO_LARGE;
    return rc != 0 ? rc : set_text(message, TERN__PROP_CORRELATION_DATA, data, length);
}

int tern_message_add_user_property(tern_message *message, const char *name, const char *value)
{
    int rc = writable(message, name != NULL && value != NULL);
    if (rc != 0) return rc;
    size_t name_len = strlen(name);
    size_t value_len = strlen(value);
    rc = check_text(name, name_len); /* [MQTT5-1.5.7-1] */
    if (rc == 0) rc = check_text(value, value_len);
    if (rc == 0 && message->own->props.len > PAYLOAD_MAX - 5 - name_len - value_len)
        rc = TERN_E_TOO_LARGE;
    if (rc == 0) rc = tern__props_add_pair(&message->own->props, name, name_len, value, value_len);
    if (rc != 0) return rc;
    point(message->own); /* what was there is not read again: many may be added */
    message->own->record.props_present |= UINT64_C(1) << TERN__PROP_USER_PROPERTY;
    return 0;
}

int tern_message_remove_user_property(tern_message *message, const char *name)
{
    int rc = writable(message, name != NULL);
    if (rc != 0) return rc;
    tern__buf *props = &message->own->props;
    tern__view rest = {props->data, props->len};
    tern__prop prop;
    size_t name_len = strlen(name);
    size_t kept = 0;
    const uint8_t *start = rest.data;
    while (tern__props_next(&rest, &prop)) {
        size_t len = (size_t)(rest.data - start);
        bool same = prop.id == TERN__PROP_USER_PROPERTY && prop.name.len == name_len && memcmp(prop.name.data, name, name_len) == 0;
        if (!same) {
            memmove(props->data + kept, start, len);
            kept += len;
        }
        start = rest.data;
    }
    bool found = kept != props->len;
    props->len = kept;
    refresh(message->own);
    return found ? 0 : TERN_E_NOT_FOUND;
}

int tern_message_set_mark(tern_message *message, uint32_t mark)
{
    int rc = writable(message, true);
    if (rc == 0) message->mark = mark;
    return rc;
}

int tern_message_clear_properties(tern_message *message)
{
    int rc = writable(message, true);
    if (rc != 0) return rc;
    tern__buf_clear(&message->own->props);
    refresh(message->own);
    return 0;
}

/* ---- reading ---- */

static tern__props props_of(const tern_message *message)
{
    if (message == NULL) return (tern__props){NULL, 0, 0};
    const tern__record *record = message->record;
    return (tern__props){record->props, record->props_len, record->props_present};
}

const char *tern_message_topic(const tern_message *message)
{
    return message != NULL ? (const char *)message->record->topic : NULL;
}

size_t tern_message_topic_length(const tern_message *message)
{
    return message != NULL ? message->record->topic_len : 0;
}

const void *tern_message_payload(const tern_message *message)
{
    return message != NULL ? message->record->payload : (const void *)"";
}

size_t tern_message_payload_length(const tern_message *message)
{
    return message != NULL ? message->record->payload_len : 0;
}

const char *tern_message_text(const tern_message *message)
{
    return tern_message_payload(message);
}

int tern_message_qos(const tern_message *message)
{
    return message != NULL ? message->record->qos : 0;
}

int tern_message_retained(const tern_message *message)
{
    return message != NULL && (message->record->flags & TERN__RECORD_RETAIN) != 0;
}

int tern_message_duplicate(const tern_message *message)
{
    return message != NULL && (message->record->flags & TERN__RECORD_DUP) != 0;
}

uint64_t tern_message_ack_number(const tern_message *message)
{
    if (message == NULL || message->epoch == 0 || message->record->qos == 0) return 0;
    return message->epoch << 32 | message->record->ack_seq;
}

uint32_t tern_message_mark(const tern_message *message)
{
    return message != NULL ? message->mark : 0;
}

int tern_message_payload_format(const tern_message *message)
{
    tern__props props = props_of(message);
    tern__prop prop;
    return tern__props_find(&props, TERN__PROP_PAYLOAD_FORMAT, &prop) ? (int)prop.number : -1;
}

int tern_message_expiry(const tern_message *message, uint32_t *seconds)
{
    tern__props props = props_of(message);
    tern__prop prop = {.number = 0};
    bool found = tern__props_find(&props, TERN__PROP_MESSAGE_EXPIRY, &prop);
    if (seconds != NULL) *seconds = found ? prop.number : 0;
    return found;
}

static const void *find_text(const tern_message *message, int id, size_t *length)
{
    tern__props props = props_of(message);
    tern__prop prop;
    bool found = tern__props_find(&props, id, &prop);
    if (length != NULL) *length = found ? prop.text.len : 0;
    return found ? prop.text.data : NULL;
}

const char *tern_message_content_type(const tern_message *message, size_t *length)
{
    return find_text(message, TERN__PROP_CONTENT_TYPE, length);
}

const char *tern_message_response_topic(const tern_message *message, size_t *length)
{
    return find_text(message, TERN__PROP_RESPONSE_TOPIC, length);
}

const void *tern_message_correlation_data(const tern_message *message, size_t *length)
{
    return find_text(message, TERN__PROP_CORRELATION_DATA, length);
}

/* The property with that id at index; where `index` is beyond, false. *count (may be NULL) is how
 * many were seen. */
static bool nth(const tern_message *message, int id, size_t index, tern__prop *prop, size_t *count)
{
    tern__props props = props_of(message);
    tern__view rest = {props.data, props.len};
    size_t seen = 0;
    bool found = false;
    while (!found && tern__props_has(&props, id) && tern__props_next(&rest, prop)) {
        if (prop->id != id) continue;
        found = seen == index;
        seen++;
    }
    if (count != NULL) *count = seen;
    return found;
}

size_t tern_message_user_property_count(const tern_message *message)
{
    tern__prop prop;
    size_t count;
    (void)nth(message, TERN__PROP_USER_PROPERTY, SIZE_MAX, &prop, &count);
    return count;
}

int tern_message_user_property(const tern_message *message, size_t index, const char **name,
                               size_t *name_length, const char **value, size_t *value_length)
{
    tern__prop prop = {.id = 0};
    bool found = nth(message, TERN__PROP_USER_PROPERTY, index, &prop, NULL);
    if (name != NULL) *name = found ? (const char *)prop.name.data : NULL;
    if (name_length != NULL) *name_length = found ? prop.name.len : 0;
    if (value != NULL) *value = found ? (const char *)prop.text.data : NULL;
    if (value_length != NULL) *value_length = found ? prop.text.len : 0;
    if (message == NULL) return TERN_E_INVALID;
    return found ? 0 : TERN_E_NOT_FOUND;
}

size_t tern_message_subscription_id_count(const tern_message *message)
{
    tern__prop prop;
    size_t count;
    (void)nth(message, TERN__PROP_SUBSCRIPTION_ID, SIZE_MAX, &prop, &count);
    return count;
}

uint32_t tern_message_subscription_id(const tern_message *message, size_t index)
{
    tern__prop prop;
    return nth(message, TERN__PROP_SUBSCRIPTION_ID, index, &prop, NULL) ? prop.number : 0;
}
