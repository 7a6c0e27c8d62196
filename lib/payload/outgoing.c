/* Compressing what is published: by the topic's rule or the message's own, where it helps.
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <tern/message.h>
#include <tern/subscription.h>

#include "base/alloc.h"
#include "payload/compression.h"

enum { TOPIC_MAX = 65535 };
static const char META[] = "/meta";

static tern_encoding encoding_of(const tern_compression *compression, const char *topic, uint32_t flags)
{
    if ((flags & TERN_UNCOMPRESSED) != 0) return TERN_ENCODING_NONE;
    if ((flags & TERN_COMPRESS) != 0) return TERN_ENCODING_GZIP;
    for (size_t i = compression->rule_count; i-- > 0;)
        if (tern_filter_matches(compression->rules[i].filter, topic) == 1) return compression->rules[i].encoding;
    return compression->fallback;
}

static bool has_properties(const tern_message *message)
{
    return tern_message_payload_format(message) >= 0 || tern_message_expiry(message, NULL) ||
           tern_message_content_type(message, NULL) != NULL || tern_message_response_topic(message, NULL) != NULL ||
           tern_message_correlation_data(message, NULL) != NULL || tern_message_user_property_count(message) != 0;
}

/* Whether the application has said itself how the payload is encoded. */
static bool is_encoded(const tern_message *message)
{
    static const char name[] = "content-encoding";
    for (size_t i = 0, count = tern_message_user_property_count(message); i < count; i++) {
        const char *found = NULL;
        size_t len = 0;
        (void)tern_message_user_property(message, i, &found, &len, NULL, NULL);
        if (len == sizeof name - 1 && memcmp(found, name, len) == 0) return true;
    }
    return false;
}

/* Whether trying to compress makes sense. */
static bool is_worth_it(const tern_compression *compression, const tern_message *message)
{
    size_t len = tern_message_payload_length(message);
    return len > compression->threshold && len <= compression->limits.max_bytes && !tern__gzip_is_pointless(tern_message_payload(message), len) && !is_encoded(message);
}

/* Says in properties what the payload is now. Where the message had none of its own, 3.1.1 may go without them. */
static int describe(tern_message *copy, size_t original, bool bare, uint32_t flags)
{
    char number[24];
    snprintf(number, sizeof number, "%zu", original);
    int rc = tern_message_add_user_property(copy, "content-encoding", "gzip");
    if (rc == 0) rc = tern_message_add_user_property(copy, "content-length", number);
    if (rc == 0 && tern_message_payload_format(copy) == 1) rc = tern_message_set_payload_format(copy, 0); /* no UTF-8 any more [MQTT5-3.3.2-4] */
    if (rc == 0 && bare) flags |= TERN_LOSE_PROPERTIES;
    return rc == 0 ? tern_message_set_flags(copy, flags) : rc;
}

/* The message with its payload compressed; *copy stays NULL where that does not help. */
static int compress(tern_compression *compression, const tern_message *message, uint32_t flags, tern_message **copy)
{
    size_t len = tern_message_payload_length(message);
    uint64_t gain = ((uint64_t)len * (unsigned)compression->minimal_gain + 99) / 100;
    size_t most = len - (gain != 0 ? (size_t)gain : 1);
    tern__gzip *gzip = tern__compression_take(compression);
    tern__buf *out = NULL;
    if (gzip == NULL) return TERN_E_NOMEM;
    int rc = tern__gzip_deflate(gzip, tern_message_payload(message), len, most, &out);
    /* What a receiver with these limits would leave compressed is of more use as it is. */
    bool smaller = rc == 0 && len <= tern__gzip_bound(out->len, &compression->limits);
    if (rc == TERN_E_TOO_LARGE) rc = 0;
    if (smaller) rc = tern_message_keep(message, copy);
    if (smaller && rc == 0) rc = tern_message_set_payload(*copy, out->data, out->len);
    if (smaller && rc == 0 && compression->form == TERN_COMPRESSION_PROPERTY)
        rc = describe(*copy, len, !has_properties(message), flags);
    if (smaller && rc == 0) {
        tern__compression_count(compression, TERN__COMPRESSED, 1);
        tern__compression_count(compression, TERN__BYTES_BEFORE, len);
        tern__compression_count(compression, TERN__BYTES_AFTER, out->len);
    }
    tern__compression_give(compression, gzip);
    if (rc == 0) return 0;
    tern_message_unref(*copy);
    *copy = NULL;
    return rc;
}

/* Why a topic cannot have a meta topic; NULL where it can. */
static const char *meta_trouble(const char *topic, size_t len)
{
    if (topic[0] == '$') return "topics that begin with $ have no meta topic";
    if (len >= sizeof META - 1 && memcmp(topic + len - (sizeof META - 1), META, sizeof META - 1) == 0)
        return "the topic ends in /meta, as those of compression's meta messages do";
    if (len + sizeof META - 1 > TOPIC_MAX) return "the topic is too long for a meta topic beside it";
    return NULL;
}

/* Puts the meta message of `sent`, which the application published as `message`, before it. */
static int precede(tern_compression *compression, tern_outgoing *outgoing, const tern_message *message, const tern_message *sent,
                   bool compressed)
{
    char text[TERN__META_TEXT];
    size_t len = tern_message_topic_length(message);
    const void *payload = tern_message_payload(message);
    size_t payload_len = tern_message_payload_length(message);
    uint32_t flags = (uint32_t)tern_message_qos(message) | (tern_message_retained(message) ? TERN_RETAIN : 0);
    tern__meta meta = {.compressed = compressed, .sized = true, .original_size = payload_len,
                       .compressed_size = tern_message_payload_length(sent),
                       .seq = atomic_fetch_add_explicit(&compression->seq, 1, memory_order_relaxed) + 1};
    if (compressed) meta.crc32 = tern__gzip_crc32(payload, payload_len);
    bool clears = payload_len == 0 && (flags & TERN_RETAIN) != 0; /* of a retained message both parts go */
    size_t text_len = clears ? 0 : tern__meta_write(&meta, text);
    char *topic = tern__malloc(len + sizeof META);
    if (topic == NULL) return TERN_E_NOMEM;
    memcpy(topic, tern_message_topic(message), len);
    memcpy(topic + len, META, sizeof META);
    tern_message *before = NULL;
    int rc = tern_message_new(&before, topic, text, text_len, flags);
    tern__free(topic);
    return rc == 0 ? tern_outgoing_precede(outgoing, before) : rc;
}

int tern__compression_outgoing(tern_client *client, tern_outgoing *outgoing, void *user_data)
{
    tern_compression *compression = user_data;
    const tern_message *message = tern_outgoing_message(outgoing);
    const char *topic = tern_message_topic(message);
    uint32_t flags = tern_outgoing_flags(outgoing);
    tern_message *copy = NULL;
    (void)client;
    if (encoding_of(compression, topic, flags) == TERN_ENCODING_NONE) return 0;
    bool with_meta = compression->form == TERN_COMPRESSION_META_TOPIC;
    const char *trouble = with_meta ? meta_trouble(topic, tern_message_topic_length(message)) : NULL;
    if (trouble != NULL) {
        (void)tern_outgoing_explain(outgoing, trouble);
        return TERN_E_TOPIC;
    }
    int rc = is_worth_it(compression, message) ? compress(compression, message, flags, &copy) : 0;
    if (rc == 0 && copy == NULL) tern__compression_count(compression, TERN__LEFT_RAW, 1);
    if (rc == 0 && with_meta) rc = precede(compression, outgoing, message, copy != NULL ? copy : message, copy != NULL);
    if (rc == 0 && copy != NULL) return tern_outgoing_replace(outgoing, copy);
    tern_message_unref(copy);
    return rc;
}
