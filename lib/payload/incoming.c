/* Inflating what is received. What is said of a payload is a hint, its bytes are the proof; what fails is delivered as it came.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <tern/message.h>

#include "payload/compression.h"
#include "platform/clock.h"

static const char META[] = "/meta";

/* What is known of a payload before it is looked at. */
typedef enum saying { SAYS_NOTHING, SAYS_GZIP, SAYS_RAW } saying;

static bool view_is(const char *text, size_t len, const char *want)
{
    return len == strlen(want) && memcmp(text, want, len) == 0;
}

static saying property_says(const tern_message *message)
{
    for (size_t i = 0, count = tern_message_user_property_count(message); i < count; i++) {
        const char *name = NULL;
        const char *value = NULL;
        size_t name_len = 0;
        size_t value_len = 0;
        (void)tern_message_user_property(message, i, &name, &name_len, &value, &value_len);
        if (!view_is(name, name_len, "content-encoding")) continue;
        return view_is(value, value_len, "gzip") ? SAYS_GZIP : SAYS_RAW; /* some other encoding is not ours */
    }
    return SAYS_NOTHING;
}

/* Whether it was a meta message, whose saying is kept. A retained one says it to whoever subscribes later: then too. */
static bool take_meta(tern_compression *compression, const tern_client *client, const tern_message *message)
{
    tern__meta meta;
    const char *topic = tern_message_topic(message);
    size_t len = tern_message_topic_length(message);
    if (compression->form != TERN_COMPRESSION_META_TOPIC) return false;
    if (len <= sizeof META - 1 || memcmp(topic + len - (sizeof META - 1), META, sizeof META - 1) != 0) return false;
    bool cleared = tern_message_payload_length(message) == 0; /* of a retained message */
    if (!cleared && !tern__meta_read(tern_message_payload(message), tern_message_payload_length(message), &meta)) return false;
    tern__compression_count(compression, TERN__METAS, 1);
    if (!cleared) tern__hints_put(&compression->hints, client, topic, len - (sizeof META - 1), &meta, tern__clock_us());
    return true;
}

/* What a meta message said of this payload; of several the one whose size is this one's. */
static saying meta_says(tern_compression *compression, const tern_client *client, const tern_message *message)
{
    tern__meta meta;
    size_t len = tern_message_payload_length(message);
    if (compression->form != TERN_COMPRESSION_META_TOPIC) return SAYS_NOTHING;
    if (!tern__hints_take(&compression->hints, client, tern_message_topic(message), tern_message_topic_length(message), len, &meta,
                          tern__clock_us()))
        return SAYS_NOTHING;
    if (meta.compressed) return SAYS_GZIP;
    return !meta.sized || tern__meta_fits(&meta, len) ? SAYS_RAW : SAYS_NOTHING; /* it was about another message */
}

static tern_compression_result result_of(int rc)
{
    switch (rc) {
    case 0: return TERN_COMPRESSION_INFLATED;
    case TERN_E_TOO_LARGE: return TERN_COMPRESSION_TOO_LARGE;
    case TERN_E_NOMEM: return TERN_COMPRESSION_NO_MEMORY;
    default: return TERN_COMPRESSION_DAMAGED;
    }
}

/* Counts what became of it, and marks it; that takes no memory. */
static void mark(tern_compression *compression, tern_incoming *incoming, tern_compression_result result)
{
    static const int counters[] = {
        [TERN_COMPRESSION_INFLATED] = TERN__INFLATED,
        [TERN_COMPRESSION_DAMAGED] = TERN__DAMAGED,
        [TERN_COMPRESSION_TOO_LARGE] = TERN__TOO_LARGE,
        [TERN_COMPRESSION_MISMATCH] = TERN__MISMATCHED,
    };
    if (result != TERN_COMPRESSION_RAW && result != TERN_COMPRESSION_NO_MEMORY)
        tern__compression_count(compression, counters[result], 1);
    (void)tern_incoming_set_mark(incoming, (uint32_t)result);
}

/* A copy of the message with what its payload stands for; NULL where memory ran out. */
static tern_message *with_payload(const tern_message *message, const tern__buf *payload, bool by_property)
{
    tern_message *copy = NULL;
    if (tern_message_keep(message, &copy) != 0) return NULL;
    if (tern_message_set_payload(copy, payload->data, payload->len) != 0) {
        tern_message_unref(copy);
        return NULL;
    }
    if (by_property) {
        (void)tern_message_remove_user_property(copy, "content-encoding"); /* untrue now */
        (void)tern_message_remove_user_property(copy, "content-length");
    }
    return copy;
}

/* Inflates it, or leaves it as it came, and marks which. */
static void inflate(tern_compression *compression, tern_incoming *incoming, bool by_property)
{
    const tern_message *message = tern_incoming_message(incoming);
    tern__buf *out = NULL;
    tern__gzip *gzip = tern__compression_take(compression);
    int rc = gzip == NULL ? TERN_E_NOMEM
                          : tern__gzip_inflate(gzip, tern_message_payload(message), tern_message_payload_length(message),
                                               &compression->limits, &out);
    tern_message *copy = rc == 0 ? with_payload(message, out, by_property) : NULL;
    if (rc == 0 && copy == NULL) rc = TERN_E_NOMEM;
    if (gzip != NULL) tern__compression_give(compression, gzip);
    if (copy != NULL) (void)tern_incoming_replace(incoming, copy);
    mark(compression, incoming, result_of(rc));
}

void tern__compression_incoming(tern_client *client, tern_incoming *incoming, void *user_data)
{
    tern_compression *compression = user_data;
    const tern_message *message = tern_incoming_message(incoming);
    if (compression->decompression == TERN_DECOMPRESSION_OFF) return;
    if (take_meta(compression, client, message)) {
        if (!compression->deliver_meta) (void)tern_incoming_drop(incoming);
        return;
    }
    saying said = property_says(message);
    bool by_property = said == SAYS_GZIP;
    if (said == SAYS_NOTHING) said = meta_says(compression, client, message);
    bool looks_so = tern__gzip_begins(tern_message_payload(message), tern_message_payload_length(message));
    bool guessed = said == SAYS_NOTHING && looks_so && compression->decompression == TERN_DECOMPRESSION_AUTO;
    if (said == SAYS_GZIP && !looks_so) mark(compression, incoming, TERN_COMPRESSION_MISMATCH);
    else if (said == SAYS_GZIP || guessed) inflate(compression, incoming, by_property);
}
