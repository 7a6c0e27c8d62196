/* The engine fed with a broker's bytes: it never crashes, never tells a message's end twice, and tells nothing of messages after it
 * gave the link up. The first byte chooses version, session and whether a good CONNACK comes first; the second, where input is cut.
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <tern/subscription.h>

#include "engine/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MESSAGES = 6 };

/* What one run has seen. */
typedef struct run {
    tern__engine *engine;
    bool gave_up;
    unsigned outcomes[MESSAGES];
} run;

static void pump(run *r)
{
    tern__engine_event event;
    while (tern__engine_next_event(r->engine, &event)) {
        if (event.kind == TERN__EVENT_FAILED) r->gave_up = true;
        if (event.kind != TERN__EVENT_MESSAGES) continue;
        assert(!r->gave_up && "messages come before the end");
        tern__block_finish(event.block);
        for (uint32_t i = 0; i < event.block->count; i++) {
            const tern__record *record = &event.block->records[i];
            assert(record->topic[record->topic_len] == 0 && record->payload[record->payload_len] == 0);
            if (record->qos != 0) tern__engine_ack_through(r->engine, event.block->epoch, record->ack_seq);
        }
        tern__block_unref(event.block);
    }
    tern__range range;
    while (tern__engine_next_range(r->engine, &range)) {
        for (uint64_t id = range.first; id <= range.last; id++) {
            assert(id >= 1 && id <= MESSAGES && r->outcomes[id - 1]++ == 0 && "one outcome for each message");
        }
    }
    (void)tern__engine_sync_locked(r->engine);
}

static void write_all(run *r, uint64_t now)
{
    tern__iov iov[8];
    size_t count = 0;
    while (tern__engine_output(r->engine, now, iov, 8, &count) == 0 && count != 0) {
        size_t n = 0;
        for (size_t i = 0; i < count; i++) n += iov[i].len;
        tern__engine_sent(r->engine, n, now);
    }
}

static void submit(run *r)
{
    for (int i = 0; i < MESSAGES; i++) {
        tern__submission submission = {
            .publish.qos = (uint8_t)(i % 3), .publish.topic = {(const uint8_t *)"t", 1}, .publish.payload = {(const uint8_t *)"x", 1}};
        uint64_t id;
        (void)tern__outbox_append_locked(tern__engine_outbox(r->engine), &submission, &id);
    }
    tern_subscription *wish = NULL;
    if (tern_subscription_new(&wish) == 0 && tern_subscription_add(wish, "a/+", TERN_QOS_2) == 0)
        (void)tern__engine_subscribe(r->engine, wish, NULL, 1000);
    tern_subscription_free(wish);
}

static void play(run *r, const uint8_t *data, size_t size, unsigned choice, size_t step)
{
    static const uint8_t connack5[] = {0x20, 3, 0, 0, 0};
    static const uint8_t connack311[] = {0x20, 2, 0, 0};
    uint64_t now = 1000000;
    tern__connect_config config = {.version = (choice & 1) != 0 ? TERN__V5 : TERN__V311,
                                   .session = (choice & 2) != 0 ? TERN_SESSION_PERSISTENT : TERN_SESSION_PROCESS,
                                   .session_expiry = 100, .keep_alive = 10, .ping_timeout_ms = 1000,
                                   .request_problem_info = (choice & 4) == 0};
    if (tern__engine_opened(r->engine, &config, now) != 0) return;
    write_all(r, now);
    if ((choice & 8) == 0)
        (void)((choice & 1) != 0 ? tern__engine_recv(r->engine, connack5, sizeof connack5, now)
                                 : tern__engine_recv(r->engine, connack311, sizeof connack311, now));
    pump(r);
    write_all(r, now);
    pump(r);
    for (size_t at = 0; at < size; at += step) {
        size_t n = size - at < step ? size - at : step;
        now += 1000;
        if (tern__engine_recv(r->engine, data + at, n, now) != 0) break;
        pump(r);
        write_all(r, now);
        pump(r);
    }
    pump(r);
    tern__engine_tick(r->engine, now + 60000000);
    pump(r);
    tern__engine_closed(r->engine, now);
    pump(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    tern__block_pool *pool;
    if (tern__block_pool_new(&pool, 512) != 0) return 0;
    run r = {0};
    tern__engine_config own = {.client_id = "fuzz", .outbox_bytes = 1 << 16, .inflight_maximum = 3, .receive_maximum = 5,
                               .topic_alias_maximum = 4, .maximum_packet_size = 4096, .pool = pool};
    if (tern__engine_new(&r.engine, &own) == 0) {
        submit(&r);
        (void)tern__engine_sync_locked(r.engine);
        size_t half = size / 2;
        play(&r, data + 2, half - (half > 1 ? 1 : half), data[0], (size_t)(data[1] % 16) + 1);
        r.gave_up = false;
        play(&r, data + 2, size - 2, data[0], (size_t)(data[1] % 64) + 1); /* a second connection */
        (void)tern__engine_abandon(r.engine);
        pump(&r);
        for (int i = 0; i < MESSAGES; i++) assert(r.outcomes[i] == 1 && "every message has its outcome");
        tern__engine_free(r.engine);
    }
    tern__block_pool_unref(pool);
    return 0;
}
