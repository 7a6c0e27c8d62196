/* The loop: the network thread, and the one place where engine, bytes and time meet.
 * SPDX-License-Identifier: Apache-2.0 */
#include "client/loop.h"

#include <string.h>

#include "base/alloc.h"
#include "client/client.h"
#include "client/link.h"
#include "platform/clock.h"
#include "platform/fork.h"

enum {
    PIECES = 64,          /* of output in one system call */
    ROUNDS = 8,           /* writes or reads of one client before the others have their turn */
    DOZE_US = 100,        /* how long a busy loop looks away */
    CLOSE_US = 30,        /* work that comes sooner than this after the last is "again and again" */
    MANY_BYTES = 4 << 10, /* waiting bytes that count as a lot */
    SOME_BYTES = 512,     /* waiting bytes that make it worth to doze on */
    STREAK = 3            /* rounds before the loop dozes */
};

/* ---- waking ---- */

void tern__loop_wake(tern_loop *loop, bool urgent)
{
    if (urgent && !atomic_load(&loop->urgent)) atomic_store(&loop->urgent, true);
    int state = atomic_load(&loop->sleep);
    if (state == TERN__AWAKE || (state == TERN__DOZING && !urgent)) return;
    if (atomic_exchange(&loop->sleep, TERN__AWAKE) != TERN__AWAKE) tern__wake_signal(&loop->wake);
}

void tern__client_schedule(tern_client *client, bool urgent)
{
    tern_loop *loop = client->loop;
    if (!atomic_load(&client->scheduled) && !atomic_exchange(&client->scheduled, true)) {
        tern__mutex_lock(&loop->lock);
        if (!client->detached && tern__list_empty(&client->ready_link))
            tern__list_append(&loop->ready, &client->ready_link);
        tern__mutex_unlock(&loop->lock);
    }
    tern__loop_wake(loop, urgent);
}

/* The client is served once more in the next round; on the loop's thread. */
static void serve_again(tern_client *client)
{
    tern_loop *loop = client->loop;
    tern__mutex_lock(&loop->lock);
    if (tern__list_empty(&client->ready_link)) tern__list_append(&loop->again, &client->ready_link);
    tern__mutex_unlock(&loop->lock);
}

static void on_wake(tern__source *source, unsigned events, uint64_t now)
{
    (void)events;
    (void)now;
    tern_loop *loop = TERN__CONTAINER(source, tern_loop, wake_source);
    tern__wake_clear(&loop->wake);
    atomic_fetch_add_explicit(&loop->wakeups, 1, memory_order_relaxed);
}

/* ---- bytes ---- */

static void lose(tern_client *client, int error, int os_error, uint64_t now)
{
    tern__failure failure = {.error = error, .step = TERN_STEP_SESSION, .os_error = os_error, .reason = -1};
    tern__link_lost(client, &failure, now);
}

/* The stream ended: what its filters know of it. */
static void lose_stream(tern_client *client, int rc, uint64_t now)
{
    tern__stream_failure why;
    const tern__stream *stream = client->link.stream;
    if (!tern__stream_explain(stream, &why)) {
        lose(client, rc, tern__stream_os_error(stream), now);
        return;
    }
    /* TLS 1.3 tells only after the handshake that the server wants a certificate. */
    bool opening = client->link.state == TERN__LINK_GREETING && why.step != TERN_STEP_NONE;
    tern__failure failure = {.error = why.error != 0 ? why.error : rc,
                             .step = opening ? why.step : TERN_STEP_SESSION,
                             .os_error = why.os_error,
                             .reason = -1,
                             .text = why.text,
                             .hint = why.hint,
                             .http_status = why.http_status,
                             .verify_result = why.verify_result,
                             .fatal = why.fatal};
    tern__link_lost(client, &failure, now);
}

/* Tells the owner what the engine has to tell. */
static void pump_events(tern_client *client, uint64_t now)
{
    tern__engine_event event;
    while (tern__engine_next_event(client->engine, &event)) {
        if (event.kind == TERN__EVENT_MESSAGES) {
            client->link.last_block = tern__block_held(event.block);
            tern__mailbox_push_block(&client->mailbox, event.block);
        } else {
            tern__link_on_event(client, &event, now);
        }
    }
}

static void pump_outcomes(tern_client *client, uint64_t now)
{
    enum { RETRY_US = 10000 };
    tern__link *link = &client->link;
    tern__completion *completion;
    while ((completion = tern__engine_next_completion(client->engine)) != NULL)
        tern__link_completed(client, completion);
    for (;;) {
        if (!link->range_held) link->range_held = tern__engine_next_range(client->engine, &link->range);
        if (!link->range_held) return;
        if (tern__mailbox_push_range(&client->mailbox, &link->range) != 0) {
            link->range_retry_at = now + RETRY_US; /* no memory: the outcome is kept until there is */
            return;
        }
        link->range_held = false;
    }
}

/* The lowest id without an outcome. One that could not be handed over yet has none. */
static uint64_t oldest_open(const tern_client *client)
{
    const tern__link *link = &client->link;
    uint64_t settled = tern__engine_settled_id(client->engine);
    if (link->range_held && link->range.first <= settled) return link->range.first;
    return settled + 1;
}

/* Exchanges what publishers and the engine have for each other. True: messages were dropped, whose outcomes are to be told. */
static bool sync_engine(tern_client *client)
{
    enum { LOOKS = 4 };
    tern_loop *loop = client->loop;
    bool dropped = false;
    tern__mutex_lock(&client->lock);
    loop->found += tern__outbox_unsynced_bytes_locked(client->outbox);
    bool room = tern__engine_sync_locked(client->engine);
    /* What was let in while the engine dropped is looked at, too, before it may be sent; but publishers never stop. */
    for (int looks = 0; looks < LOOKS && tern__engine_overflows(client->engine); looks++) {
        tern__mutex_unlock(&client->lock);
        bool some = tern__engine_shed(client->engine);
        tern__mutex_lock(&client->lock);
        room = tern__engine_sync_locked(client->engine) || room;
        dropped = dropped || some;
        if (!some) break;
    }
    client->syncs++;
    if (client->room_waiters != 0 && (room || client->options.policy != TERN_OUTBOX_BLOCK)) tern__cond_broadcast(&client->room);
    if (client->tells_oldest) client->oldest = oldest_open(client);
    client->counters.engine = *tern__engine_stats_of(client->engine);
    tern__mutex_unlock(&client->lock);
    return dropped;
}

static inline bool traces(const tern_client *client)
{
    return tern__log_on(&client->log, TERN_LOG_TRACE);
}

/* Where the poller has no memory for it the stream would never be heard of again. */
static void watch(tern_client *client, uint64_t now)
{
    tern__link *link = &client->link;
    if (link->stream == NULL) return;
    int rc = tern__stream_watch(link->stream, !link->paused || link->finished, link->write_blocked);
    if (rc != 0) lose(client, rc, 0, now);
}

/* Whether the inbound bound is reached. A lone message beyond it does not count: an acknowledgement may follow it that the
 * application waits for before it takes the message. */
static bool inbound_full(tern_client *client)
{
    size_t held = atomic_load(&client->mailbox.inbound_bytes);
    return held >= client->options.inbound_limit && held > client->link.last_block;
}

/* Reading stops at the inbound bound: TCP and receive maximum hold the broker. */
static void update_pause(tern_client *client, uint64_t now)
{
    tern__link *link = &client->link;
    bool full = inbound_full(client);
    if (full && !link->paused) {
        atomic_store(&client->reading_paused, true);
        /* Room that was made before the flag was set would wake nobody. */
        full = inbound_full(client);
        if (!full) atomic_store(&client->reading_paused, false);
    }
    if (full == link->paused) return;
    link->paused = full;
    if (!full) atomic_store(&client->reading_paused, false);
    tern__engine_set_reading_paused(client->engine, full, now);
    tern__link_pause_changed(client);
}

static void read_in(tern_client *client, uint64_t now)
{
    tern__link *link = &client->link;
    for (int round = 0; round < ROUNDS && link->stream != NULL && !link->paused; round++) {
        uint8_t *data;
        size_t room;
        size_t n = 0;
        int rc = tern__engine_recv_space(client->engine, &data, &room);
        if (rc == 0) rc = tern__stream_read(link->stream, data, room, &n);
        if (rc == TERN_E_AGAIN) return;
        if (rc != 0) {
            lose_stream(client, rc, now);
            return;
        }
        if (traces(client)) tern__trace_bytes(&link->received, &client->log, "received", data, n);
        rc = tern__engine_received(client->engine, n, now);
        pump_events(client, now);
        update_pause(client, now);
        if (rc != 0 || n < room) return;
    }
}

/* Writes until nothing is left, the socket is full, or others should have their turn. */
static void write_out(tern_client *client, uint64_t now)
{
    tern__link *link = &client->link;
    for (int round = 0; link->stream != NULL && !link->write_blocked; round++) {
        if (round == ROUNDS) {
            serve_again(client);
            return;
        }
        if (atomic_load_explicit(&client->connected, memory_order_relaxed)) (void)sync_engine(client);
        tern__iov pieces[PIECES];
        size_t count = 0;
        size_t sent = 0;
        int rc = tern__engine_output(client->engine, now, pieces, PIECES, &count);
        if (rc == 0 && count == 0) return;
        if (rc == 0) rc = tern__stream_write(link->stream, pieces, count, &sent);
        if (rc == 0) {
            if (traces(client)) tern__trace_pieces(&link->sent, &client->log, "sent", pieces, sent);
            tern__engine_sent(client->engine, sent, now);
        } else if (rc == TERN_E_AGAIN) {
            link->write_blocked = true;
        } else {
            read_in(client, now); /* what the server said before it hung up: its reason, acknowledgements */
            if (link->stream != NULL) lose_stream(client, rc, now);
        }
    }
}

/* After our last byte: nothing that still comes matters, but its end. */
static void read_off(tern_client *client, uint64_t now)
{
    uint8_t waste[4096];
    size_t n;
    tern__link *link = &client->link;
    for (int round = 0; round < ROUNDS && link->stream != NULL; round++) {
        int rc = tern__stream_read(link->stream, waste, sizeof waste, &n);
        if (rc == TERN_E_AGAIN) return;
        if (rc != 0) lose(client, rc, 0, now);
    }
}

/* ---- serving a client ---- */

static void take_commands(tern_client *client, uint64_t now)
{
    tern__list commands;
    tern__list_init(&commands);
    tern__buf acks;
    tern__mutex_lock(&client->lock);
    tern__list_splice(&commands, &client->commands);
    acks = client->acks;
    tern__buf_init(&client->acks);
    client->link.timer_at = tern__timers_next_locked(&client->timers);
    tern__mutex_unlock(&client->lock);
    for (size_t at = 0; at < acks.len; at += sizeof(tern__manual_ack)) {
        tern__manual_ack ack;
        memcpy(&ack, acks.data + at, sizeof ack);
        (void)tern__engine_ack_one(client->engine, ack.epoch, ack.seq); /* stale ones were answered before */
    }
    tern__buf_deinit(&acks);
    tern__list *link;
    while ((link = tern__list_shift(&commands)) != NULL)
        tern__link_execute(client, TERN__CONTAINER(link, tern__command, link), now);
}

static void take_acks(tern_client *client)
{
    uint64_t ack = atomic_load_explicit(&client->mailbox.ack, memory_order_acquire);
    if (ack == client->link.acked) return;
    client->link.acked = ack;
    uint64_t epoch = tern__engine_epoch(client->engine);
    if ((uint32_t)epoch == (uint32_t)(ack >> 32))
        tern__engine_ack_through(client->engine, epoch, (uint32_t)ack);
}

static void set_timer(tern_client *client)
{
    tern_loop *loop = client->loop;
    uint64_t deadline = tern__engine_deadline(client->engine);
    uint64_t other = tern__link_deadline(client);
    if (other < deadline) deadline = other;
    tern__heap_node *timer = &client->link.timer;
    /* A timer that is too early costs one look; moving it at each packet would cost more. */
    if (timer->linked && timer->key <= deadline) return;
    tern__heap_remove(&loop->timers, timer);
    if (deadline != UINT64_MAX) tern__heap_insert(&loop->timers, timer, deadline);
}

/* The client is closed: the loop forgets it. It may be gone when this returns. */
static void detach(tern_client *client)
{
    tern_loop *loop = client->loop;
    tern__heap_remove(&loop->timers, &client->link.timer);
    tern__mutex_lock(&loop->lock);
    client->detached = true;
    tern__list_remove(&client->ready_link);
    tern__mutex_unlock(&loop->lock);
    tern_token *token = client->link.close_token;
    client->link.close_token = NULL;
    tern__mailbox_push_closed(&client->mailbox, token);
}

/* What TLS or WebSocket has taken from the socket already, the poller will not tell of. */
static void read_pending(tern_client *client, uint64_t now)
{
    const tern__link *link = &client->link;
    if (link->stream == NULL || link->paused || link->finished || !tern__stream_pending(link->stream)) return;
    read_in(client, now);
    if (link->stream != NULL && !link->paused && tern__stream_pending(link->stream)) serve_again(client);
}

static void serve(tern_client *client, uint64_t now)
{
    if (client->link.state == TERN__LINK_CLOSED) return;
    take_commands(client, now);
    take_acks(client);
    update_pause(client, now);
    read_pending(client, now);
    if (client->link.closing) (void)sync_engine(client); /* what was published last drains too */
    do {
        pump_events(client, now);
        write_out(client, now);
        pump_outcomes(client, now);
    } while (tern__link_progress(client, now));
    if (client->link.state == TERN__LINK_CLOSED) {
        detach(client);
        return;
    }
    if (sync_engine(client)) serve_again(client);
    watch(client, now);
    set_timer(client);
}

static void on_stream_ready(tern__source *source, unsigned events, uint64_t now)
{
    tern_client *client = TERN__CONTAINER(source, tern_client, link.source);
    if ((events & TERN__READY_WRITE) != 0) client->link.write_blocked = false;
    if (client->link.finished) {
        read_off(client, now);
    } else if ((events & TERN__READY_ERROR) != 0 && client->link.paused) {
        lose(client, TERN_E_CONNECTION_LOST, 0, now); /* nothing will be read from it any more */
    } else if ((events & (TERN__READY_READ | TERN__READY_ERROR)) != 0) {
        read_in(client, now);
    }
    serve(client, now);
}

static void on_timer(tern_client *client, uint64_t now)
{
    if (now >= tern__engine_deadline(client->engine)) tern__engine_tick(client->engine, now);
    tern__link_tick(client, now);
    serve(client, now);
}

void tern__loop_open(tern_client *client, tern__stream *stream, const tern__connect_config *config,
                     uint64_t now)
{
    tern__link *link = &client->link;
    link->stream = stream;
    link->write_blocked = false;
    link->sent = link->received = (tern__trace){0};
    link->source.ready = on_stream_ready;
    tern__stream_set_source(stream, &link->source);
    int rc = tern__engine_opened(client->engine, config, now);
    if (rc != 0) {
        tern__failure failure = {.error = rc, .step = TERN_STEP_MQTT, .reason = -1, .fatal = rc == TERN_E_TOO_LARGE};
        tern__link_lost(client, &failure, now);
        return;
    }
    tern__engine_set_reading_paused(client->engine, link->paused, now);
    atomic_store(&client->epoch, tern__engine_epoch(client->engine));
    watch(client, now);
}

void tern__loop_flush(tern_client *client, uint64_t now)
{
    tern__link *link = &client->link;
    tern__iov pieces[PIECES];
    size_t count = 0;
    size_t sent = 0;
    if (link->stream == NULL || tern__engine_output(client->engine, now, pieces, PIECES, &count) != 0)
        return;
    if (count == 0 || tern__stream_write(link->stream, pieces, count, &sent) != 0) return;
    if (traces(client)) tern__trace_pieces(&link->sent, &client->log, "sent", pieces, sent);
    tern__engine_sent(client->engine, sent, now);
}

bool tern__loop_finish(tern_client *client, uint64_t now)
{
    tern__link *link = &client->link;
    if (link->stream == NULL || tern__stream_finish(link->stream) != 0) return false;
    link->finished = true;
    watch(client, now);
    return true;
}

void tern__loop_hang_up(tern_client *client, uint64_t now)
{
    tern__link *link = &client->link;
    link->finished = false;
    tern__stream_close(link->stream);
    link->stream = NULL;
    link->write_blocked = false;
    link->closable = false;
    atomic_store(&client->connected, false);
    atomic_store(&client->epoch, 0);
    tern__engine_closed(client->engine, now);
}

bool tern__loop_abandon(tern_client *client, uint64_t now)
{
    (void)sync_engine(client);
    int rc = tern__engine_abandon(client->engine);
    pump_outcomes(client, now);
    (void)sync_engine(client);
    return rc == 0 && !client->link.range_held;
}

/* ---- the thread ---- */

static tern_client *next_ready(tern_loop *loop, tern__list *list)
{
    tern__mutex_lock(&loop->lock);
    tern__list *link = tern__list_shift(list);
    tern__mutex_unlock(&loop->lock);
    return link != NULL ? TERN__CONTAINER(link, tern_client, ready_link) : NULL;
}

static void serve_ready(tern_loop *loop, uint64_t now)
{
    atomic_store(&loop->urgent, false);
    loop->found = 0;
    loop->pushed = false;
    tern__list round;
    tern__list_init(&round);
    tern__mutex_lock(&loop->lock);
    loop->pushed = !tern__list_empty(&loop->ready);
    tern__list_splice(&round, &loop->again);
    tern__list_splice(&round, &loop->ready);
    tern__mutex_unlock(&loop->lock);
    tern_client *client;
    while ((client = next_ready(loop, &round)) != NULL) {
        atomic_store(&client->scheduled, false);
        serve(client, now);
    }
}

static void fire_timers(tern_loop *loop, uint64_t now)
{
    tern__heap_node *node;
    while ((node = loop->timers.root) != NULL && node->key <= now) {
        tern__heap_remove(&loop->timers, node);
        on_timer(TERN__CONTAINER(node, tern_client, link.timer), now);
    }
}

/* Whether work comes so fast that looking every DOZE_US is better than being woken each time. */
static bool should_doze(tern_loop *loop, uint64_t now)
{
    if (!loop->pushed) {
        loop->streak = 0;
    } else if (loop->found >= MANY_BYTES || now - loop->slept_at < CLOSE_US) {
        if (loop->streak < STREAK) loop->streak++;
    } else if (loop->streak < STREAK || loop->found < SOME_BYTES) {
        loop->streak = 0;
    }
    return loop->streak >= STREAK;
}

/* How long nobody needs the loop, in microseconds; -1 for ever. */
static int64_t idle_time(tern_loop *loop, uint64_t now)
{
    if (loop->timers.root == NULL) return -1;
    uint64_t key = loop->timers.root->key;
    return key > now ? (int64_t)(key - now) : 0;
}

static bool must_not_sleep(tern_loop *loop, bool dozing)
{
    tern__mutex_lock(&loop->lock);
    bool work = !tern__list_empty(&loop->again) || loop->stopping ||
                (!dozing && !tern__list_empty(&loop->ready));
    tern__mutex_unlock(&loop->lock);
    return work || atomic_load(&loop->urgent);
}

static void nap(tern_loop *loop, bool dozing, uint64_t now)
{
    int64_t timeout = idle_time(loop, now);
    if (dozing && (timeout < 0 || timeout > DOZE_US)) timeout = DOZE_US;
    atomic_store(&loop->sleep, dozing ? TERN__DOZING : TERN__ASLEEP);
    /* Whoever brought work before the line above saw the loop awake. */
    if (must_not_sleep(loop, dozing)) timeout = 0;
    loop->slept_at = now;
    unsigned woken;
    tern__poller_wait(loop->poller, timeout, &woken);
    atomic_store(&loop->sleep, TERN__AWAKE);
}

static void free_loop(tern_loop *loop)
{
    for (unsigned i = 0; i < loop->dispatcher_count; i++) {
        tern__dispatcher_stop(&loop->dispatchers[i]);
        tern__dispatcher_deinit(&loop->dispatchers[i]);
    }
    tern__free(loop->dispatchers);
    tern__resolver_free(loop->resolver);
    if (loop->wake.read_fd >= 0) tern__poller_remove(loop->poller, loop->wake.read_fd);
    tern__wake_deinit(&loop->wake);
    tern__poller_free(loop->poller);
    tern__block_pool_unref(loop->pool);
    tern__budget_deinit(&loop->budget);
    tern__mutex_deinit(&loop->lock);
    tern__free(loop);
}

static void run(void *argument)
{
    tern_loop *loop = argument;
    for (;;) {
        uint64_t now = tern__clock_us();
        serve_ready(loop, now);
        fire_timers(loop, now);
        tern__mutex_lock(&loop->lock);
        bool stop = loop->stopping;
        tern__mutex_unlock(&loop->lock);
        if (stop) break;
        nap(loop, should_doze(loop, now), tern__clock_us());
    }
    if (atomic_load(&loop->orphaned)) {
        tern__thread_detach(&loop->thread);
        free_loop(loop);
    }
}

/* ---- life ---- */

static int start(tern_loop *loop, unsigned dispatchers, tern_poller kind)
{
    enum { BLOCK_SIZE = 64 << 10 };
    int rc = tern__poller_new(&loop->poller, kind);
    if (rc == 0)
        rc = kind == TERN_POLLER_POLL ? tern__wake_init_pipe(&loop->wake) : tern__wake_init(&loop->wake);
    loop->wake_source.ready = on_wake;
    if (rc == 0)
        rc = tern__poller_add(loop->poller, loop->wake.read_fd, TERN__READY_READ, &loop->wake_source);
    if (rc == 0) rc = tern__resolver_new(&loop->resolver, loop->poller);
    if (rc == 0) rc = tern__block_pool_new(&loop->pool, BLOCK_SIZE);
    if (rc != 0) return rc;
    if (dispatchers != 0) loop->dispatchers = tern__calloc(dispatchers, sizeof *loop->dispatchers);
    if (loop->dispatchers == NULL && dispatchers != 0) return TERN_E_NOMEM;
    while (loop->dispatcher_count < dispatchers) {
        rc = tern__dispatcher_init(&loop->dispatchers[loop->dispatcher_count], true);
        if (rc != 0) return rc;
        loop->dispatcher_count++;
    }
    return tern__thread_start(&loop->thread, "tern-loop", run, loop);
}

int tern__loop_new(tern_loop **loop, unsigned dispatchers, tern_poller poller)
{
    tern_loop *made = tern__calloc(1, sizeof *made);
    if (made == NULL) return TERN_E_NOMEM;
    atomic_init(&made->refs, 1);
    made->generation = tern__fork_generation();
    made->wake = (tern__wake){-1, -1};
    tern__list_init(&made->ready);
    tern__list_init(&made->again);
    tern__budget_init(&made->budget);
    int rc = tern__mutex_init(&made->lock);
    if (rc != 0) {
        tern__free(made);
        return rc;
    }
    rc = start(made, dispatchers, poller);
    if (rc != 0) {
        free_loop(made);
        return rc;
    }
    *loop = made;
    return 0;
}

int tern_loop_new(tern_loop **loop, unsigned dispatchers, tern_poller poller)
{
    enum { DISPATCHERS_MAX = 64 };
    if (loop == NULL) return TERN_E_INVALID;
    *loop = NULL;
    if (dispatchers == 0 || dispatchers > DISPATCHERS_MAX || (unsigned)poller > TERN_POLLER_POLL)
        return TERN_E_INVALID;
    return tern__loop_new(loop, dispatchers, poller);
}

int tern_loop_set_retry_budget(tern_loop *loop, uint32_t concurrent, uint32_t per_second)
{
    enum { FASTEST = 1000000 };
    if (loop == NULL || concurrent > FASTEST || per_second > FASTEST) return TERN_E_INVALID;
    atomic_store_explicit(&loop->budget.concurrent, concurrent, memory_order_relaxed);
    atomic_store_explicit(&loop->budget.per_second, per_second, memory_order_relaxed);
    return 0;
}

tern_loop *tern__loop_ref(tern_loop *loop)
{
    atomic_fetch_add_explicit(&loop->refs, 1, memory_order_relaxed);
    return loop;
}

bool tern__loop_forked(const tern_loop *loop)
{
    return loop->generation != tern__fork_generation();
}

tern__dispatcher *tern__loop_dispatcher(tern_loop *loop)
{
    unsigned next = atomic_fetch_add_explicit(&loop->next_dispatcher, 1, memory_order_relaxed);
    return &loop->dispatchers[next % loop->dispatcher_count];
}

static bool is_own_thread(tern_loop *loop)
{
    for (unsigned i = 0; i < loop->dispatcher_count; i++)
        if (tern__dispatcher_is_self(&loop->dispatchers[i])) return true;
    return tern__thread_is_self(&loop->thread);
}

void tern_loop_free(tern_loop *loop)
{
    if (loop == NULL || atomic_fetch_sub_explicit(&loop->refs, 1, memory_order_acq_rel) != 1) return;
    if (tern__loop_forked(loop)) { /* the threads, and what they were about to do, are the parent's */
        tern__free(loop->dispatchers);
        tern__free(loop);
        return;
    }
    bool own = is_own_thread(loop);
    tern__thread thread = loop->thread;
    if (own) atomic_store(&loop->orphaned, true);
    tern__mutex_lock(&loop->lock);
    loop->stopping = true;
    tern__mutex_unlock(&loop->lock);
    tern__wake_signal(&loop->wake);
    if (own) return; /* the loop frees itself when this callback has returned */
    tern__thread_join(&thread);
    free_loop(loop);
}
