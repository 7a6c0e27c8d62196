/* Feeds: what a client's callbacks are told, packed into a table of records and the bytes that they point into.
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <tern/client.h>
#include <tern/feed.h>
#include <tern/message.h>
#include <tern/token.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "platform/clock.h"
#include "platform/thread.h"

enum {
    RECORDS_READY = 256,      /* room that is there before callbacks run */
    KEEP_BYTES = 1 << 20,     /* larger buffers are given back after a read */
    LOG_BYTES = 256 << 10,
    LOG_SLICE_MS = 100,       /* how late log records may be, where nothing else happens */
    SLOT_BLOCK = 64,
    LARGEST_NUMBER = 1 << 20
};

/* As tern/feed.h lays it out. */
typedef struct record {
    uint32_t what;
    uint32_t who;
    uint64_t number;
    uint64_t other;
    uint64_t place;
    uint32_t a;
    uint32_t b;
    uint32_t c;
    uint32_t unused;
} record;
static_assert(sizeof(record) == TERN_FEED_RECORD_SIZE, "what the header says");

/* What a filter's handler is given: it lives as long as the feed. */
typedef struct slot {
    tern_feed *feed;
    uint32_t number;
} slot;

struct tern_feed {
    tern_client *client; /* NULL before it is attached; constant from then on */
    /* The reader's. */
    tern__buf records;
    tern__buf data;
    bool short_of_memory;   /* something was left out in this read */
    uint32_t gap;           /* connection of which messages were left out: no later one of it may be acknowledged; 0 none */
    bool gap_told;          /* it is being ended */
    tern_event_callback on_event;
    void *event_data;
    /* Under the lock. */
    tern__mutex lock;
    slot **slots; /* blocks of SLOT_BLOCK, by number */
    size_t slot_blocks;
    tern__buf log; /* a level's byte, text, NUL */
    uint64_t log_lost;
    atomic_bool logs; /* there was a log record once */
};

/* A token that is watched; freed when it has ended. */
typedef struct watched {
    tern_feed *feed;
    uint64_t number;
} watched;

/* ---- making and ending ---- */

int tern_feed_new(tern_feed **feed)
{
    if (feed == NULL) return TERN_E_INVALID;
    *feed = NULL;
    tern_feed *made = tern__calloc(1, sizeof *made);
    if (made == NULL) return TERN_E_NOMEM;
    int rc = tern__mutex_init(&made->lock);
    if (rc != 0) {
        tern__free(made);
        return rc;
    }
    *feed = made;
    return 0;
}

void tern_feed_free(tern_feed *feed)
{
    if (feed == NULL) return;
    for (size_t i = 0; i < feed->slot_blocks; i++) tern__free(feed->slots[i]);
    tern__free(feed->slots);
    tern__buf_deinit(&feed->records);
    tern__buf_deinit(&feed->data);
    tern__buf_deinit(&feed->log);
    tern__mutex_deinit(&feed->lock);
    tern__free(feed);
}

/* ---- writing records ---- */

static bool write_record(tern_feed *feed, const record *it)
{
    if (tern__buf_append(&feed->records, it, sizeof *it) == 0) return true;
    feed->short_of_memory = true;
    return false;
}

/* Room was reserved. */
static void put(tern_feed *feed, const void *bytes, size_t length)
{
    if (length != 0) memcpy(feed->data.data + feed->data.len, bytes, length);
    feed->data.len += length;
}

static void put_text(tern_feed *feed, const void *text, size_t length)
{
    put(feed, text, length);
    put(feed, "", 1);
}

/* A property's entry; without room in `feed` (NULL) it is only measured. */
static size_t put_property(tern_feed *feed, uint8_t identifier, const void *bytes, size_t length)
{
    uint32_t size = (uint32_t)length;
    if (feed != NULL) {
        put(feed, &identifier, 1);
        put(feed, &size, sizeof size);
        put(feed, bytes, length);
    }
    return 1 + sizeof size + length;
}

static size_t put_number(tern_feed *feed, uint8_t identifier, uint32_t number)
{
    return put_property(feed, identifier, &number, sizeof number);
}

/* The identifiers of MQTT 5 section 2.2.2.2. */
enum { FORMAT = 0x01, EXPIRY = 0x02, CONTENT_TYPE = 0x03, RESPONSE_TOPIC = 0x08, CORRELATION = 0x09, SUBSCRIPTION = 0x0b, USER = 0x26 };

static size_t put_lists(tern_feed *feed, const tern_message *message)
{
    size_t size = 0;
    size_t count = tern_message_subscription_id_count(message);
    for (size_t i = 0; i < count; i++) size += put_number(feed, SUBSCRIPTION, tern_message_subscription_id(message, i));
    count = tern_message_user_property_count(message);
    for (size_t i = 0; i < count; i++) {
        const char *name = NULL;
        const char *value = NULL;
        size_t name_length = 0;
        size_t value_length = 0;
        (void)tern_message_user_property(message, i, &name, &name_length, &value, &value_length);
        size += put_property(feed, USER, name, name_length);
        size += put_property(feed, USER, value, value_length);
    }
    return size;
}

static size_t put_properties(tern_feed *feed, const tern_message *message)
{
    size_t size = 0;
    size_t length = 0;
    uint32_t seconds = 0;
    int format = tern_message_payload_format(message);
    if (format >= 0) size += put_number(feed, FORMAT, (uint32_t)format);
    if (tern_message_expiry(message, &seconds)) size += put_number(feed, EXPIRY, seconds);
    const void *bytes = tern_message_content_type(message, &length);
    if (bytes != NULL) size += put_property(feed, CONTENT_TYPE, bytes, length);
    bytes = tern_message_response_topic(message, &length);
    if (bytes != NULL) size += put_property(feed, RESPONSE_TOPIC, bytes, length);
    bytes = tern_message_correlation_data(message, &length);
    if (bytes != NULL) size += put_property(feed, CORRELATION, bytes, length);
    return size + put_lists(feed, message);
}

static bool write_message(tern_feed *feed, const tern_message *message, uint32_t handler)
{
    size_t topic_length = tern_message_topic_length(message);
    size_t payload_length = tern_message_payload_length(message);
    size_t properties = put_properties(NULL, message);
    size_t place = feed->data.len;
    if (tern__buf_reserve(&feed->data, topic_length + payload_length + 2 + properties) != 0) return false;
    uint32_t flags = (uint32_t)tern_message_qos(message) | (tern_message_retained(message) == 1 ? 4u : 0) |
                     (tern_message_duplicate(message) == 1 ? 8u : 0);
    record it = {.what = TERN_FEED_MESSAGE | flags << 8, .who = handler, .number = tern_message_ack_number(message),
                 .other = tern_message_mark(message), .place = place, .a = (uint32_t)topic_length,
                 .b = (uint32_t)payload_length, .c = (uint32_t)properties};
    if (!write_record(feed, &it)) return false;
    put_text(feed, tern_message_topic(message), topic_length);
    put_text(feed, tern_message_payload(message), payload_length);
    (void)put_properties(feed, message);
    return true;
}

/* ---- the client's callbacks ---- */

/* A message that was left out must not be acknowledged by one that came after it: the rest of its connection is left out, too,
 * and comes again with the next one. */
static void take_message(tern_feed *feed, const tern_message *message, uint32_t handler)
{
    uint32_t connection = (uint32_t)(tern_message_ack_number(message) >> 32);
    if (connection != 0 && connection == feed->gap) return;
    if (write_message(feed, message, handler)) return;
    feed->short_of_memory = true;
    if (connection == 0) return;
    feed->gap = connection;
    feed->gap_told = false;
}

static void on_message(tern_client *client, const tern_message *message, void *user_data)
{
    (void)client;
    take_message(user_data, message, 0);
}

static void on_filtered(tern_client *client, const tern_message *message, void *user_data)
{
    const slot *it = user_data;
    (void)client;
    take_message(it->feed, message, it->number);
}

static void on_delivery(tern_client *client, const tern_delivery *delivery, void *user_data)
{
    tern_feed *feed = user_data;
    (void)client;
    record it = {.what = TERN_FEED_DELIVERY, .who = (uint32_t)tern_delivery_cause(delivery),
                 .number = tern_delivery_first_id(delivery), .other = tern_delivery_last_id(delivery),
                 .a = (uint32_t)tern_delivery_outcome(delivery), .b = (uint32_t)tern_delivery_reason_code(delivery)};
    (void)write_record(feed, &it);
}

static void on_event(tern_client *client, const tern_event *event, void *user_data)
{
    tern_feed *feed = user_data;
    if (feed->on_event != NULL) feed->on_event(client, event, feed->event_data);
    record it = {.what = TERN_FEED_EVENT, .a = (uint32_t)tern_event_get_kind(event), .b = (uint32_t)tern_event_error(event)};
    (void)write_record(feed, &it);
}

static void on_token(tern_token *token, void *user_data)
{
    watched *it = user_data;
    record end = {.what = TERN_FEED_TOKEN, .number = it->number, .b = (uint32_t)tern_token_error(token)};
    (void)write_record(it->feed, &end);
    tern__free(it);
}

/* ---- what is to be told ---- */

int tern_feed_attach(tern_feed *feed, tern_client *client)
{
    int descriptor;
    if (feed == NULL || client == NULL) return TERN_E_INVALID;
    if (feed->client != NULL) return TERN_E_STATE;
    int rc = tern_client_dispatch_fd(client, &descriptor);
    if (rc == 0) rc = tern_client_set_message_handler(client, on_message, feed);
    if (rc == 0) rc = tern_client_set_delivery_handler(client, on_delivery, feed);
    if (rc == 0) rc = tern_client_set_event_handler(client, on_event, feed);
    if (rc == 0) feed->client = client;
    return rc;
}

/* The slot of a number, NULL without memory; the lock is held. */
static slot *slot_locked(tern_feed *feed, uint32_t number)
{
    size_t block = number / SLOT_BLOCK;
    if (block >= feed->slot_blocks) {
        slot **grown = tern__realloc(feed->slots, (block + 1) * sizeof *grown);
        if (grown == NULL) return NULL;
        memset(grown + feed->slot_blocks, 0, (block + 1 - feed->slot_blocks) * sizeof *grown);
        feed->slots = grown;
        feed->slot_blocks = block + 1;
    }
    if (feed->slots[block] == NULL) feed->slots[block] = tern__calloc(SLOT_BLOCK, sizeof(slot));
    if (feed->slots[block] == NULL) return NULL;
    slot *it = &feed->slots[block][number % SLOT_BLOCK];
    *it = (slot){feed, number};
    return it;
}

int tern_feed_set_filter(tern_feed *feed, const char *filter, uint32_t number)
{
    if (feed == NULL || filter == NULL || number > LARGEST_NUMBER) return TERN_E_INVALID;
    if (feed->client == NULL) return TERN_E_STATE;
    if (number == 0) return tern_client_set_filter_handler(feed->client, filter, NULL, NULL);
    tern__mutex_lock(&feed->lock);
    slot *it = slot_locked(feed, number);
    tern__mutex_unlock(&feed->lock);
    return it == NULL ? TERN_E_NOMEM : tern_client_set_filter_handler(feed->client, filter, on_filtered, it);
}

int tern_feed_watch(tern_feed *feed, tern_token *token, uint64_t number)
{
    if (feed == NULL || token == NULL) return TERN_E_INVALID;
    watched *it = tern__malloc(sizeof *it);
    if (it == NULL) return TERN_E_NOMEM;
    *it = (watched){feed, number};
    int rc = tern_token_set_callback(token, on_token, it);
    if (rc != 0) tern__free(it);
    return rc;
}

int tern_feed_set_event_callback(tern_feed *feed, tern_event_callback callback, void *user_data)
{
    if (feed == NULL) return TERN_E_INVALID;
    feed->on_event = callback;
    feed->event_data = user_data;
    return 0;
}

int64_t tern_feed_publish(tern_feed *feed, const char *topic, const void *payload, uint32_t payload_length, uint32_t flags)
{
    uint64_t id = 0;
    if (feed == NULL) return TERN_E_INVALID;
    if (feed->client == NULL) return TERN_E_STATE;
    int rc = tern_client_publish(feed->client, topic, payload, payload_length, flags, &id);
    return rc != 0 ? rc : (int64_t)id;
}

/* ---- log records ---- */

void tern_feed_log(tern_log_level level, const char *text, void *user_data)
{
    tern_feed *feed = user_data;
    if (feed == NULL || text == NULL) return;
    size_t length = strlen(text);
    uint8_t byte = (uint8_t)level;
    tern__mutex_lock(&feed->lock);
    bool fits = feed->log.len + length + 2 <= LOG_BYTES && tern__buf_reserve(&feed->log, length + 2) == 0;
    if (fits) {
        (void)tern__buf_append(&feed->log, &byte, 1);
        (void)tern__buf_append(&feed->log, text, length + 1);
    } else {
        feed->log_lost++;
    }
    tern__mutex_unlock(&feed->lock);
    atomic_store(&feed->logs, true);
}

static void take_log(tern_feed *feed)
{
    tern__mutex_lock(&feed->lock);
    tern__buf log = feed->log;
    uint64_t lost = feed->log_lost;
    tern__buf_init(&feed->log);
    feed->log_lost = 0;
    tern__mutex_unlock(&feed->lock);
    for (size_t at = 0; at < log.len;) {
        const char *text = (const char *)log.data + at + 1;
        size_t length = strlen(text);
        record it = {.what = TERN_FEED_LOG, .who = log.data[at], .number = lost, .place = feed->data.len, .a = (uint32_t)length};
        if (tern__buf_reserve(&feed->data, length + 1) != 0 || !write_record(feed, &it)) {
            feed->short_of_memory = true;
            break;
        }
        put_text(feed, text, length);
        at += length + 2;
        lost = 0;
    }
    tern__buf_deinit(&log);
}

/* ---- reading ---- */

static void start_over(tern__buf *buf)
{
    if (buf->cap > KEEP_BYTES) tern__buf_deinit(buf);
    else tern__buf_clear(buf);
}

/* Where messages were left out their connection is ended, so that they come again. */
static void mend_gap(tern_feed *feed)
{
    if (feed->gap == 0 || feed->gap_told) return;
    int rc = tern_client_reconnect(feed->client, 0, NULL);
    feed->gap_told = rc != TERN_E_NOMEM;
}

static int collect(tern_feed *feed, uint32_t timeout_ms)
{
    uint64_t end = timeout_ms != UINT32_MAX ? tern__clock_us() + (uint64_t)timeout_ms * 1000 : UINT64_MAX;
    for (;;) {
        uint64_t now = tern__clock_us();
        uint32_t left = now >= end ? 0 : end - now < (uint64_t)UINT32_MAX * 1000 ? (uint32_t)((end - now + 999) / 1000) : UINT32_MAX;
        bool logs = atomic_load(&feed->logs);
        if (logs) take_log(feed);
        if (feed->records.len != 0) left = 0;
        uint32_t slice = logs && left > LOG_SLICE_MS ? LOG_SLICE_MS : left;
        int rc = tern_client_dispatch(feed->client, slice);
        mend_gap(feed);
        if (rc != TERN_E_TIMEOUT || feed->records.len != 0 || slice == left) return rc;
    }
}

int tern_feed_read(tern_feed *feed, uint32_t timeout_ms, const void **records, size_t *count, const void **data,
                   size_t *length)
{
    if (feed == NULL || records == NULL || count == NULL || data == NULL || length == NULL) return TERN_E_INVALID;
    *records = *data = NULL;
    *count = *length = 0;
    if (feed->client == NULL) return TERN_E_STATE;
    start_over(&feed->records);
    start_over(&feed->data);
    feed->short_of_memory = false;
    if (tern__buf_reserve(&feed->records, RECORDS_READY * sizeof(record)) != 0) return TERN_E_NOMEM;
    int rc = collect(feed, timeout_ms);
    *records = feed->records.data;
    *count = feed->records.len / sizeof(record);
    *data = feed->data.data;
    *length = feed->data.len;
    if (feed->short_of_memory) return TERN_E_NOMEM;
    return *count != 0 ? 0 : rc;
}
