/* The mock broker: a poll() loop in a thread, and what tests call.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support/mock_inside.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "support/net.h"

void mock__append(bytes *b, const void *data, size_t len)
{
    if (b->len + len > b->cap) {
        b->cap = (b->len + len) * 2;
        b->data = realloc(b->data, b->cap);
        if (b->data == NULL) abort();
    }
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

void mock__count_locked(mock_broker *broker, int what, int64_t by)
{
    broker->counts[what] = (uint64_t)((int64_t)broker->counts[what] + by);
    pthread_cond_broadcast(&broker->changed);
}

static void wake(mock_broker *broker)
{
    ssize_t n = write(broker->wake[1], "", 1);
    (void)n; /* a full pipe wakes as well */
}

/* ---- the thread ---- */

static void peer_close(mock_broker *broker, size_t index, bool reset)
{
    mock_peer *peer = broker->peers[index];
    if (peer->session != NULL && peer->session->ends) mock__session_clear(peer->session);
    if (peer->session != NULL && peer->session->ends) peer->session->client_id[0] = '\0'; /* nobody finds it */
    if (reset) {
        net_reset(peer->fd);
    } else {
        close(peer->fd);
    }
    free(peer->in.data);
    free(peer->out.data);
    free(peer);
    broker->peers[index] = broker->peers[--broker->peer_count];
    mock__count_locked(broker, MOCK_OPEN, -1);
    mock__count_locked(broker, MOCK_ENDED, 1);
}

static void accept_one(mock_broker *broker)
{
    int fd = accept4(broker->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    mock_peer *peer = calloc(1, sizeof *peer);
    broker->peers = realloc(broker->peers, (broker->peer_count + 1) * sizeof *broker->peers);
    if (peer == NULL || broker->peers == NULL) abort();
    peer->broker = broker;
    peer->fd = fd;
    broker->peers[broker->peer_count++] = peer;
    mock__count_locked(broker, MOCK_ACCEPTED, 1);
    mock__count_locked(broker, MOCK_OPEN, 1);
}

/* False: the connection is over. */
static bool peer_read(mock_peer *peer)
{
    uint8_t data[65536];
    ssize_t n = recv(peer->fd, data, sizeof data, 0);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    if (n == 0) return false;
    mock__append(&peer->in, data, (size_t)n);
    return mock__take_packets(peer);
}

static bool peer_write(mock_peer *peer)
{
    ssize_t n = send(peer->fd, peer->out.data, peer->out.len, MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    memmove(peer->out.data, peer->out.data + n, peer->out.len - (size_t)n);
    peer->out.len -= (size_t)n;
    return true;
}

/* Serves the peers whose poll entries start at `polls`; new ones are not among them. */
static void serve_peers(mock_broker *broker, const struct pollfd *polls, size_t count)
{
    for (size_t i = count; i-- > 0;) {
        mock_peer *peer = broker->peers[i];
        bool alive = true;
        if ((polls[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !peer->hang_up) alive = peer_read(peer);
        if (alive && peer->out.len != 0) alive = peer_write(peer);
        if (alive && peer->hang_up && peer->out.len == 0) alive = false;
        if (!alive) peer_close(broker, i, false);
    }
}

static size_t fill_polls(const mock_broker *broker, struct pollfd *polls)
{
    polls[0] = (struct pollfd){broker->wake[0], POLLIN, 0};
    polls[1] = (struct pollfd){broker->listening ? broker->listener : -1, POLLIN, 0};
    for (size_t i = 0; i < broker->peer_count; i++) {
        const mock_peer *peer = broker->peers[i];
        int events = broker->rules.deaf ? 0 : POLLIN;
        polls[2 + i] = (struct pollfd){peer->fd, (short)(events | (peer->out.len != 0 || peer->hang_up ? POLLOUT : 0)), 0};
    }
    return broker->peer_count;
}

/* Only outside poll(), which would keep a closed listener alive. */
static void update_listening(mock_broker *broker)
{
    if (broker->listening == broker->should_listen) return;
    if (broker->should_listen) {
        listen(broker->listener, 1024);
    } else {
        close(broker->listener);
        broker->listener = net_bind_at("127.0.0.1", broker->port); /* the port stays ours, and refuses */
    }
    broker->listening = broker->should_listen;
    pthread_cond_broadcast(&broker->changed);
}

static void *run(void *argument)
{
    mock_broker *broker = argument;
    pthread_mutex_lock(&broker->lock);
    while (!broker->stopping) {
        struct pollfd *polls = malloc((2 + broker->peer_count) * sizeof *polls);
        if (polls == NULL) abort();
        size_t count = fill_polls(broker, polls);
        pthread_mutex_unlock(&broker->lock);
        poll(polls, 2 + count, -1);
        pthread_mutex_lock(&broker->lock);
        char drain[64];
        if (polls[0].revents != 0) {
            ssize_t n = read(broker->wake[0], drain, sizeof drain);
            (void)n; /* there was something, and that is all it says */
        }
        while (broker->cut && broker->peer_count != 0) peer_close(broker, broker->peer_count - 1, true);
        if (!broker->cut) serve_peers(broker, polls + 2, count);
        broker->cut = false;
        if (polls[1].revents != 0 && broker->listening) accept_one(broker);
        free(polls);
        update_listening(broker);
    }
    pthread_mutex_unlock(&broker->lock);
    return NULL;
}

/* ---- the surface ---- */

mock_broker *mock_broker_new(void)
{
    mock_broker *broker = calloc(1, sizeof *broker);
    pthread_condattr_t monotonic;
    if (broker == NULL) return NULL;
    broker->listener = net_listen("127.0.0.1", &broker->port);
    if (broker->listener < 0 || pipe(broker->wake) != 0) {
        free(broker);
        return NULL;
    }
    broker->listening = broker->should_listen = true;
    snprintf(broker->url, sizeof broker->url, "mqtt://127.0.0.1:%u", broker->port);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&broker->lock, NULL);
    pthread_cond_init(&broker->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_create(&broker->thread, NULL, run, broker);
    return broker;
}

void mock_broker_free(mock_broker *broker)
{
    if (broker == NULL) return;
    pthread_mutex_lock(&broker->lock);
    broker->stopping = true;
    pthread_mutex_unlock(&broker->lock);
    wake(broker);
    pthread_join(broker->thread, NULL);
    while (broker->peer_count != 0) peer_close(broker, broker->peer_count - 1, false);
    while (broker->sessions != NULL) {
        session *s = broker->sessions;
        broker->sessions = s->next;
        mock__session_clear(s);
        free(s);
    }
    for (size_t i = 0; i < broker->message_count; i++) free(broker->messages[i]);
    free(broker->messages);
    free(broker->peers);
    close(broker->listener);
    close(broker->wake[0]);
    close(broker->wake[1]);
    pthread_cond_destroy(&broker->changed);
    pthread_mutex_destroy(&broker->lock);
    free(broker);
}

const char *mock_broker_url(const mock_broker *broker)
{
    return broker->url;
}

uint16_t mock_broker_port(const mock_broker *broker)
{
    return broker->port;
}

void mock_broker_set_rules(mock_broker *broker, const mock_rules *rules)
{
    pthread_mutex_lock(&broker->lock);
    broker->rules = *rules;
    pthread_mutex_unlock(&broker->lock);
    wake(broker);
}

void mock_broker_set_script(mock_broker *broker, mock_script script, void *user_data)
{
    pthread_mutex_lock(&broker->lock);
    broker->script = script;
    broker->script_data = user_data;
    pthread_mutex_unlock(&broker->lock);
}

void mock_broker_listen(mock_broker *broker, bool listening)
{
    pthread_mutex_lock(&broker->lock);
    broker->should_listen = listening;
    wake(broker);
    while (broker->listening != listening) pthread_cond_wait(&broker->changed, &broker->lock);
    pthread_mutex_unlock(&broker->lock);
}

void mock_broker_cut(mock_broker *broker)
{
    pthread_mutex_lock(&broker->lock);
    broker->cut = true;
    pthread_mutex_unlock(&broker->lock);
    wake(broker);
}

void mock_broker_publish(mock_broker *broker, const char *topic, const void *payload, size_t len, uint8_t qos)
{
    pthread_mutex_lock(&broker->lock);
    mock__route_locked(broker, topic, payload, len, qos);
    pthread_mutex_unlock(&broker->lock);
    wake(broker);
}

void mock_broker_send_raw(mock_broker *broker, const void *data, size_t len)
{
    pthread_mutex_lock(&broker->lock);
    for (size_t i = 0; i < broker->peer_count; i++) mock_send_raw(broker->peers[i], data, len);
    pthread_mutex_unlock(&broker->lock);
    wake(broker);
}

uint64_t mock_broker_count(mock_broker *broker, int what)
{
    pthread_mutex_lock(&broker->lock);
    uint64_t count = broker->counts[what];
    pthread_mutex_unlock(&broker->lock);
    return count;
}

static bool wait_for(mock_broker *broker, int what, uint64_t count, int timeout_ms, bool exactly)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    int rc = 0;
    pthread_mutex_lock(&broker->lock);
    while ((exactly ? broker->counts[what] != count : broker->counts[what] < count) && rc == 0)
        rc = pthread_cond_timedwait(&broker->changed, &broker->lock, &until);
    bool there = exactly ? broker->counts[what] == count : broker->counts[what] >= count;
    pthread_mutex_unlock(&broker->lock);
    return there;
}

bool mock_broker_wait(mock_broker *broker, int what, uint64_t count, int timeout_ms)
{
    return wait_for(broker, what, count, timeout_ms, false);
}

bool mock_broker_wait_exactly(mock_broker *broker, int what, uint64_t count, int timeout_ms)
{
    return wait_for(broker, what, count, timeout_ms, true);
}

bool mock_broker_message(mock_broker *broker, size_t index, char *text, size_t size)
{
    pthread_mutex_lock(&broker->lock);
    bool there = index < broker->message_count;
    if (there) snprintf(text, size, "%s", broker->messages[index]);
    pthread_mutex_unlock(&broker->lock);
    return there;
}

size_t mock_broker_messages(mock_broker *broker)
{
    pthread_mutex_lock(&broker->lock);
    size_t count = broker->message_count;
    pthread_mutex_unlock(&broker->lock);
    return count;
}

mock_connect mock_broker_last_connect(mock_broker *broker)
{
    pthread_mutex_lock(&broker->lock);
    mock_connect last = broker->last_connect;
    pthread_mutex_unlock(&broker->lock);
    return last;
}
