/* Batches: messages that are collected, published together, and told their outcomes.
 *
 * A bundle is one batch on its way: open while it is collected, then waiting, in order, until the client takes it, then in flight
 * until its token ends. Each holds a reference of the batch, and so does a timer. One thread at a time publishes, without the lock.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <tern/batch.h>
#include <tern/client.h>
#include <tern/message.h>
#include <tern/token.h>

#include "base/alloc.h"
#include "base/list.h"
#include "payload/batch.h"
#include "platform/clock.h"
#include "platform/thread.h"

enum { MAX_MESSAGES = 10, MAX_BYTES = 64 << 10, INTERVAL_MS = 5000, MAX_WAITING = 1 << 20, RETRY_MS = 100 };

typedef struct bundle {
    tern__list link; /* in `waiting` */
    tern_batch *batch;
    uint64_t first_id;
    uint32_t count;
    tern__buf json;  /* "[{...}, {...}", without the last bracket until it is sealed */
    tern__buf ends;  /* size_t each: where in `json` each item ends */
    uint64_t opened_at;
} bundle;

struct tern_batch {
    atomic_uint refs;
    tern_client *client;
    tern__mutex lock;
    /* Under the lock. */
    char *topic;
    uint32_t flags;
    uint32_t max_messages;
    size_t max_bytes;
    uint32_t interval_ms;
    size_t max_waiting;
    tern_batch_delivery_callback callback;
    void *user_data;
    uint64_t next_id;
    bundle *open;       /* NULL: nothing is collected */
    tern__list waiting; /* sealed, in order */
    size_t waiting_bytes;
    size_t waiting_count; /* messages */
    bool publishing;    /* somebody is at it */
    bool timer_set;     /* for the interval */
    bool retry_set;     /* for room */
    bool closed;
};

static void publish_waiting(tern_batch *batch);

/* ---- references ---- */

static tern_batch *ref(tern_batch *batch)
{
    atomic_fetch_add_explicit(&batch->refs, 1, memory_order_relaxed);
    return batch;
}

static void unref(tern_batch *batch)
{
    if (atomic_fetch_sub_explicit(&batch->refs, 1, memory_order_acq_rel) != 1) return;
    tern__mutex_deinit(&batch->lock);
    tern__free(batch->topic);
    tern__free(batch);
}

static bundle *bundle_new(tern_batch *batch, uint64_t first_id)
{
    bundle *b = tern__calloc(1, sizeof *b);
    if (b == NULL) return NULL;
    tern__list_init(&b->link);
    tern__buf_init(&b->json);
    tern__buf_init(&b->ends);
    if (tern__buf_append(&b->json, "[", 1) != 0) {
        tern__free(b);
        return NULL;
    }
    b->batch = ref(batch);
    b->first_id = first_id;
    b->opened_at = tern__clock_us();
    return b;
}

static void bundle_free(bundle *b)
{
    tern_batch *batch = b->batch;
    tern__buf_deinit(&b->json);
    tern__buf_deinit(&b->ends);
    tern__free(b);
    unref(batch);
}

/* ---- life and settings ---- */

int tern_batch_new(tern_batch **batch, tern_client *client)
{
    if (batch == NULL) return TERN_E_INVALID;
    *batch = NULL;
    if (client == NULL) return TERN_E_INVALID;
    tern_batch *made = tern__calloc(1, sizeof *made);
    if (made == NULL) return TERN_E_NOMEM;
    atomic_init(&made->refs, 1);
    made->client = client;
    made->flags = TERN_QOS_1;
    made->max_messages = MAX_MESSAGES;
    made->max_bytes = MAX_BYTES;
    made->interval_ms = INTERVAL_MS;
    made->max_waiting = MAX_WAITING;
    made->next_id = 1;
    tern__list_init(&made->waiting);
    made->topic = tern__strdup("batch/messages");
    int rc = made->topic != NULL ? tern__mutex_init(&made->lock) : TERN_E_NOMEM;
    if (rc != 0) {
        tern__free(made->topic);
        tern__free(made);
        return rc;
    }
    *batch = made;
    return 0;
}

/* Settings are fixed once a message was collected. Takes the lock where it answers 0. */
static int lock_unused(tern_batch *batch, bool valid)
{
    if (batch == NULL || !valid) return TERN_E_INVALID;
    tern__mutex_lock(&batch->lock);
    if (batch->next_id == 1) return 0;
    tern__mutex_unlock(&batch->lock);
    return TERN_E_STATE;
}

int tern_batch_set_topic(tern_batch *batch, const char *topic)
{
    tern_message *probe = NULL;
    if (batch == NULL || topic == NULL) return TERN_E_INVALID;
    int rc = tern_message_new(&probe, topic, NULL, 0, TERN_QOS_0); /* a check of the topic */
    tern_message_unref(probe);
    if (rc != 0) return rc;
    char *copy = tern__strdup(topic);
    if (copy == NULL) return TERN_E_NOMEM;
    rc = lock_unused(batch, true);
    if (rc == 0) {
        char *old = batch->topic;
        batch->topic = copy;
        copy = old;
        tern__mutex_unlock(&batch->lock);
    }
    tern__free(copy);
    return rc;
}

int tern_batch_set_flags(tern_batch *batch, uint32_t flags)
{
    tern_message *probe = NULL;
    int rc = tern_message_new(&probe, "t", NULL, 0, flags); /* a check of the flags */
    tern_message_unref(probe);
    if (rc == 0) rc = lock_unused(batch, true);
    if (rc != 0) return rc;
    batch->flags = flags;
    tern__mutex_unlock(&batch->lock);
    return 0;
}

int tern_batch_set_limits(tern_batch *batch, uint32_t max_messages, size_t max_bytes)
{
    int rc = lock_unused(batch, max_messages != 0 && max_bytes != 0);
    if (rc != 0) return rc;
    batch->max_messages = max_messages;
    batch->max_bytes = max_bytes;
    tern__mutex_unlock(&batch->lock);
    return 0;
}

int tern_batch_set_interval(tern_batch *batch, uint32_t interval_ms)
{
    int rc = lock_unused(batch, true);
    if (rc != 0) return rc;
    batch->interval_ms = interval_ms;
    tern__mutex_unlock(&batch->lock);
    return 0;
}

int tern_batch_set_waiting_limit(tern_batch *batch, size_t max_bytes)
{
    int rc = lock_unused(batch, max_bytes != 0);
    if (rc != 0) return rc;
    batch->max_waiting = max_bytes;
    tern__mutex_unlock(&batch->lock);
    return 0;
}

int tern_batch_set_delivery_handler(tern_batch *batch, tern_batch_delivery_callback callback, void *user_data)
{
    if (batch == NULL) return TERN_E_INVALID;
    tern__mutex_lock(&batch->lock);
    batch->callback = callback;
    batch->user_data = user_data;
    tern__mutex_unlock(&batch->lock);
    return 0;
}

/* ---- outcomes ---- */

/* Tells the bundle's messages their outcome, and frees it. */
static void tell(bundle *b, tern_outcome outcome, tern_cause cause, int reason_code)
{
    tern_batch *batch = b->batch;
    tern__mutex_lock(&batch->lock);
    tern_batch_delivery_callback callback = batch->callback;
    void *data = batch->user_data;
    tern__mutex_unlock(&batch->lock);
    if (callback != NULL) callback(batch, b->first_id, b->first_id + b->count - 1, outcome, cause, reason_code, data);
    bundle_free(b);
}

static void add_waiting_locked(tern_batch *batch, bundle *b, bool first)
{
    if (first) tern__list_prepend(&batch->waiting, &b->link);
    else tern__list_append(&batch->waiting, &b->link);
    batch->waiting_bytes += b->json.len;
    batch->waiting_count += b->count;
}

static bundle *take_waiting_locked(tern_batch *batch)
{
    tern__list *link = tern__list_shift(&batch->waiting);
    if (link == NULL) return NULL;
    bundle *b = TERN__CONTAINER(link, bundle, link);
    batch->waiting_bytes -= b->json.len;
    batch->waiting_count -= b->count;
    return b;
}

/* Where item `index` of a bundle ends. */
static size_t end_of(const bundle *b, uint32_t index)
{
    size_t end;
    memcpy(&end, b->ends.data + index * sizeof end, sizeof end);
    return end;
}

/* The second half of a sealed bundle in one of its own; both are sealed. NULL where memory ran out: then it is as it was. */
static bundle *split(bundle *b)
{
    uint32_t half = b->count / 2;
    size_t cut = end_of(b, half - 1);
    size_t start = cut + 2; /* ", " */
    bundle *rest = bundle_new(b->batch, b->first_id + half);
    if (rest == NULL) return NULL;
    int rc = tern__buf_append(&rest->json, b->json.data + start, b->json.len - start);
    for (uint32_t i = half; i < b->count && rc == 0; i++) {
        size_t end = end_of(b, i) - start + 1; /* "[" */
        rc = tern__buf_append(&rest->ends, &end, sizeof end);
    }
    if (rc != 0) {
        bundle_free(rest);
        return NULL;
    }
    rest->count = b->count - half;
    b->count = half;
    b->json.data[cut] = ']';
    b->json.len = cut + 1;
    b->ends.len = half * sizeof(size_t);
    return rest;
}

/* What is too large for the server goes in halves, before what waits. 0, TERN_E_TOO_LARGE where it cannot be halved, TERN_E_NOMEM. */
static int send_halves(bundle *b)
{
    tern_batch *batch = b->batch;
    if (b->count == 1) return TERN_E_TOO_LARGE;
    bundle *rest = split(b);
    if (rest == NULL) return TERN_E_NOMEM;
    tern__mutex_lock(&batch->lock);
    add_waiting_locked(batch, rest, true);
    add_waiting_locked(batch, b, true);
    tern__mutex_unlock(&batch->lock);
    return 0;
}

static void settle(bundle *b, const tern_token *token)
{
    tern_batch *batch = ref(b->batch);
    bool large = tern_token_outcome(token) == TERN_OUTCOME_NOT_SENT && tern_token_cause(token) == TERN_CAUSE_TOO_LARGE;
    int rc = large ? send_halves(b) : TERN_E_TOO_LARGE; /* which ends it */
    if (rc == TERN_E_NOMEM) { /* whole again, to be halved when it is refused the next time */
        tern__mutex_lock(&batch->lock);
        add_waiting_locked(batch, b, true);
        tern__mutex_unlock(&batch->lock);
    } else if (rc != 0) {
        tell(b, tern_token_outcome(token), tern_token_cause(token), tern_token_reason_code(token, 0));
    }
    publish_waiting(batch); /* there may be room by now */
    unref(batch);
}

static void on_outcome(tern_token *token, void *user_data)
{
    settle(user_data, token);
}

/* ---- publishing ---- */

static void on_retry(tern_client *client, int due, void *user_data)
{
    tern_batch *batch = user_data;
    (void)client;
    (void)due; /* closed: then each is told so */
    tern__mutex_lock(&batch->lock);
    batch->retry_set = false;
    tern__mutex_unlock(&batch->lock);
    publish_waiting(batch);
    unref(batch);
}

/* No room, or no memory: the outbox is asked again a little later. False where no timer can be set, because the client is closed. */
static bool retry_later(tern_batch *batch)
{
    tern__mutex_lock(&batch->lock);
    bool set = batch->retry_set;
    batch->retry_set = true;
    tern__mutex_unlock(&batch->lock);
    if (set) return true;
    int rc = tern_client_set_timer(batch->client, RETRY_MS, on_retry, ref(batch), NULL);
    if (rc == 0) return true;
    tern__mutex_lock(&batch->lock);
    batch->retry_set = false; /* the next call that adds or flushes tries */
    tern__mutex_unlock(&batch->lock);
    unref(batch);
    return rc != TERN_E_CLOSED;
}

static bool heals(int rc)
{
    return rc == TERN_E_OUTBOX_FULL || rc == TERN_E_TIMEOUT || rc == TERN_E_WOULD_DEADLOCK || rc == TERN_E_NOMEM || rc == TERN_E_SYSTEM;
}

/* A bundle that the client did not take. True: it waits again, and so does what is behind it. */
static bool refused(tern_batch *batch, bundle *b, int rc)
{
    if (rc == TERN_E_TOO_LARGE) rc = send_halves(b);
    if (rc == 0) return false;
    if (heals(rc)) {
        tern__mutex_lock(&batch->lock);
        add_waiting_locked(batch, b, true);
        tern__mutex_unlock(&batch->lock);
        if (retry_later(batch)) return true;
        tern__mutex_lock(&batch->lock);
        b = take_waiting_locked(batch); /* nobody else takes: this thread publishes */
        tern__mutex_unlock(&batch->lock);
        rc = TERN_E_CLOSED;
    }
    tell(b, TERN_OUTCOME_NOT_SENT,
         rc == TERN_E_CLOSED ? TERN_CAUSE_CLOSED : rc == TERN_E_TOO_LARGE ? TERN_CAUSE_TOO_LARGE : TERN_CAUSE_UNSUPPORTED, -1);
    return false;
}

/* Gives one bundle to the client. True: it, and what is behind it, has to wait. */
static bool publish(tern_batch *batch, bundle *b)
{
    tern_token *token = NULL;
    int rc = tern_client_publish_token(batch->client, batch->topic, b->json.data, b->json.len, batch->flags, &token);
    if (rc != 0) return refused(batch, b, rc);
    rc = tern_token_set_callback(token, on_outcome, b);
    if (rc != 0) { /* it has ended, with its client: told here */
        (void)tern_token_wait(token, 0);
        settle(b, token);
    }
    tern_token_unref(token);
    return false;
}

/* Publishes what waits, in order; one thread does, and does the others' too. */
static void publish_waiting(tern_batch *batch)
{
    tern__mutex_lock(&batch->lock);
    bool mine = !batch->publishing;
    bool stop = !mine;
    batch->publishing = true;
    while (!stop) {
        bundle *b = take_waiting_locked(batch);
        if (b == NULL) break;
        tern__mutex_unlock(&batch->lock);
        stop = publish(batch, b);
        tern__mutex_lock(&batch->lock);
    }
    if (mine) batch->publishing = false;
    tern__mutex_unlock(&batch->lock);
}

/* ---- collecting ---- */

/* The open bundle is full: it waits to be published. */
static void seal_locked(tern_batch *batch)
{
    bundle *b = batch->open;
    if (b == NULL) return;
    batch->open = NULL;
    b->json.data[b->json.len++] = ']'; /* there is room, see collect_locked() */
    add_waiting_locked(batch, b, false);
}

static void on_interval(tern_client *client, int due, void *user_data);

/* Asks to be called when the open bundle has waited long enough; the lock is free. */
static void set_interval(tern_batch *batch, uint64_t delay_ms)
{
    int rc = tern_client_set_timer(batch->client, (uint32_t)delay_ms, on_interval, ref(batch), NULL);
    if (rc == 0) return;
    tern__mutex_lock(&batch->lock);
    batch->timer_set = false;
    seal_locked(batch); /* no timer, no waiting: it goes now, or is told that it cannot */
    tern__mutex_unlock(&batch->lock);
    unref(batch);
    publish_waiting(batch);
}

static void on_interval(tern_client *client, int due, void *user_data)
{
    tern_batch *batch = user_data;
    (void)client;
    tern__mutex_lock(&batch->lock);
    uint64_t now = tern__clock_us();
    uint64_t end = batch->open != NULL ? batch->open->opened_at + (uint64_t)batch->interval_ms * 1000 : 0;
    bool early = due && batch->open != NULL && now < end; /* it was opened after the timer was set */
    batch->timer_set = early;
    if (!early) seal_locked(batch);
    tern__mutex_unlock(&batch->lock);
    if (early) set_interval(batch, (end - now + 999) / 1000);
    else publish_waiting(batch);
    unref(batch);
}

/* What a batch's payload may be: the setting, or what the server takes. */
static size_t most_bytes(const tern_batch *batch)
{
    enum { AROUND = 32 /* of a PUBLISH packet's head and properties */ };
    int64_t limit = 0;
    if (tern_client_limit(batch->client, TERN_LIMIT_MAXIMUM_PACKET_SIZE, &limit) != 0) return batch->max_bytes;
    int64_t around = (int64_t)strlen(batch->topic) + AROUND;
    size_t payload = limit > around ? (size_t)(limit - around) : 1;
    return payload < batch->max_bytes ? payload : batch->max_bytes;
}

/* Appends an item's JSON to the open bundle; 0 or TERN_E_NOMEM, then nothing happened. */
static int collect_locked(tern_batch *batch, const tern__buf *item)
{
    bool fresh = batch->open == NULL;
    bundle *b = fresh ? bundle_new(batch, batch->next_id) : batch->open;
    if (b == NULL) return TERN_E_NOMEM;
    int rc = tern__buf_reserve(&b->json, item->len + 3); /* ", " and the bracket at the end */
    if (rc == 0) rc = tern__buf_reserve(&b->ends, sizeof(size_t));
    if (rc != 0) {
        if (fresh) bundle_free(b);
        return rc;
    }
    if (!fresh) (void)tern__buf_append(&b->json, ", ", 2);
    (void)tern__buf_append(&b->json, item->data, item->len);
    size_t end = b->json.len;
    (void)tern__buf_append(&b->ends, &end, sizeof end);
    b->count++;
    batch->open = b;
    batch->next_id++;
    return 0;
}

/* Takes the item in. *ready: something is to be published; *timer: the first of a bundle, which needs one. */
static int add_locked(tern_batch *batch, const tern__buf *item, size_t most, uint64_t *id, bool *ready, bool *timer)
{
    if (batch->closed) return TERN_E_CLOSED;
    if (batch->waiting_bytes >= batch->max_waiting) {
        *ready = true; /* a try, whatever the timer does */
        return TERN_E_OUTBOX_FULL;
    }
    bundle *open = batch->open;
    if (open != NULL && open->json.len + item->len + 3 > most) seal_locked(batch);
    *id = batch->next_id;
    int rc = collect_locked(batch, item);
    if (rc == 0 && (batch->open->count >= batch->max_messages || batch->open->json.len + 1 >= most)) seal_locked(batch);
    *ready = !tern__list_empty(&batch->waiting);
    *timer = rc == 0 && batch->open != NULL && batch->interval_ms != 0 && !batch->timer_set;
    if (*timer) batch->timer_set = true;
    return rc;
}

int tern_batch_add(tern_batch *batch, const char *topic, const void *payload, size_t payload_length, uint32_t flags, uint64_t *id)
{
    uint64_t unwanted;
    if (id == NULL) id = &unwanted;
    *id = 0;
    if (batch == NULL || topic == NULL || flags > TERN_QOS_2 || (payload == NULL && payload_length != 0)) return TERN_E_INVALID;
    tern_message *probe = NULL;
    int rc = tern_message_new(&probe, topic, NULL, 0, flags); /* a check of the topic */
    tern_message_unref(probe);
    tern__buf item = {0};
    if (rc == 0) rc = tern__batch_write(&item, topic, payload, payload_length, flags, tern__clock_wall_us());
    if (rc != 0) {
        tern__buf_deinit(&item);
        return rc;
    }
    bool ready = false;
    bool timer = false;
    size_t most = most_bytes(batch);
    tern__mutex_lock(&batch->lock);
    rc = add_locked(batch, &item, most, id, &ready, &timer);
    if (rc != 0) *id = 0;
    tern__mutex_unlock(&batch->lock);
    tern__buf_deinit(&item);
    if (timer) set_interval(batch, batch->interval_ms);
    if (ready) publish_waiting(batch);
    return rc;
}

int tern_batch_flush(tern_batch *batch)
{
    if (batch == NULL) return TERN_E_INVALID;
    tern__mutex_lock(&batch->lock);
    seal_locked(batch);
    tern__mutex_unlock(&batch->lock);
    publish_waiting(batch);
    return 0;
}

int tern_batch_close(tern_batch *batch)
{
    if (batch == NULL) return TERN_E_INVALID;
    tern__mutex_lock(&batch->lock);
    bool closed = batch->closed;
    batch->closed = true;
    tern__mutex_unlock(&batch->lock);
    return closed ? TERN_E_CLOSED : tern_batch_flush(batch);
}

void tern_batch_free(tern_batch *batch)
{
    if (batch == NULL) return;
    (void)tern_batch_close(batch);
    (void)tern_batch_set_delivery_handler(batch, NULL, NULL);
    unref(batch);
}

size_t tern_batch_count(tern_batch *batch)
{
    if (batch == NULL) return 0;
    tern__mutex_lock(&batch->lock);
    size_t count = batch->waiting_count + (batch->open != NULL ? batch->open->count : 0);
    tern__mutex_unlock(&batch->lock);
    return count;
}
