/* The connection is reset after every byte of a session over real sockets, both ways; then the
 * session is resumed, or lost. [C1] [C5] [C6] [C7]
 * SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <tern/tern.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "support/mock_broker.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS, MESSAGES = 6, STEP = 1 };

/* ---- what stands between client and broker ---- */

typedef struct proxy {
    pthread_t thread;
    int listener;
    int stop[2];
    uint16_t port;
    uint16_t target;
    bool outward;  /* which direction's bytes count: from the client, or to it */
    size_t budget; /* bytes until the cut */
    atomic_bool cut;
    int client; /* the pair of sockets; -1 none */
    int server;
} proxy;

static void hang_up(proxy *p, bool reset)
{
    if (reset) {
        net_reset(p->client);
    } else {
        close(p->client);
    }
    close(p->server);
    p->client = p->server = -1;
}

/* Passes on what is there, and cuts where the budget ends. */
static void forward(proxy *p, bool outward)
{
    uint8_t data[4096];
    bool counts = outward == p->outward && !atomic_load(&p->cut);
    size_t most = counts && p->budget < sizeof data ? p->budget : sizeof data;
    ssize_t n = recv(outward ? p->client : p->server, data, most, 0);
    if (n <= 0 || !net_write(outward ? p->server : p->client, data, (size_t)n)) {
        hang_up(p, false);
        return;
    }
    if (!counts) return;
    p->budget -= (size_t)n;
    if (p->budget != 0) return;
    atomic_store(&p->cut, true);
    hang_up(p, true);
}

static void *run_proxy(void *argument)
{
    proxy *p = argument;
    for (;;) {
        bool paired = p->client >= 0;
        struct pollfd polls[4] = {{p->stop[0], POLLIN, 0},
                                  {paired ? -1 : p->listener, POLLIN, 0},
                                  {p->client, POLLIN, 0},
                                  {p->server, POLLIN, 0}};
        poll(polls, 4, -1);
        if (polls[0].revents != 0) break;
        if (polls[1].revents != 0) {
            p->client = net_accept(p->listener, 0);
            p->server = p->client >= 0 ? net_connect("127.0.0.1", p->target) : -1;
        }
        if (polls[2].revents != 0) forward(p, true);
        if (polls[3].revents != 0 && p->server >= 0) forward(p, false);
    }
    if (p->client >= 0) hang_up(p, false);
    return NULL;
}

static void proxy_start(proxy *p, uint16_t target, bool outward, size_t budget)
{
    memset(p, 0, sizeof *p);
    p->target = target;
    p->outward = outward;
    p->budget = budget;
    p->client = p->server = -1;
    p->listener = net_listen("127.0.0.1", &p->port);
    assert_true(p->listener >= 0);
    assert_int_equal(pipe(p->stop), 0);
    assert_int_equal(pthread_create(&p->thread, NULL, run_proxy, p), 0);
}

static void proxy_stop(proxy *p)
{
    assert_int_equal(write(p->stop[1], "", 1), 1);
    pthread_join(p->thread, NULL);
    close(p->listener);
    close(p->stop[0]);
    close(p->stop[1]);
}

/* ---- what the client saw ---- */

typedef struct seen {
    atomic_uint received[3]; /* by QoS of the broker's one message each */
    atomic_uint told[MESSAGES + 1]; /* by id: how often, and what last */
    atomic_int outcome[MESSAGES + 1];
    atomic_int cause[MESSAGES + 1];
    atomic_uint total;
    atomic_uint strange;
} seen;

static void on_message(tern_client *client, const tern_message *message, void *user_data)
{
    seen *s = user_data;
    int qos = tern_message_text(message)[0] - '0';
    (void)client;
    if (qos < 0 || qos > 2 || tern_message_qos(message) != qos ||
        strcmp(tern_message_topic(message), "in") != 0) {
        atomic_fetch_add(&s->strange, 1);
        return;
    }
    atomic_fetch_add(&s->received[qos], 1);
}

static void on_delivery(tern_client *client, const tern_delivery *delivery, void *user_data)
{
    seen *s = user_data;
    uint64_t last = tern_delivery_last_id(delivery);
    (void)client;
    for (uint64_t id = tern_delivery_first_id(delivery); id <= last; id++) {
        if (id == 0 || id > MESSAGES) {
            atomic_fetch_add(&s->strange, 1);
            return;
        }
        atomic_fetch_add(&s->told[id], 1);
        atomic_store(&s->outcome[id], (int)tern_delivery_outcome(delivery));
        atomic_store(&s->cause[id], (int)tern_delivery_cause(delivery));
        atomic_fetch_add(&s->total, 1);
    }
}

static bool all_told(void *argument)
{
    return atomic_load(&((seen *)argument)->total) >= MESSAGES;
}

static bool all_received(seen *s)
{
    return atomic_load(&s->received[1]) >= 1 && atomic_load(&s->received[2]) >= 1;
}

/* ---- one session ---- */

typedef struct way {
    tern_version version;
    bool lost;
    bool outward;
} way;

static tern_client *make_client(const way *w, uint16_t port, seen *s)
{
    tern_client *client = NULL;
    tern_client_options *fixed = NULL;
    tern_connection_options *options = NULL;
    char url[64];
    snprintf(url, sizeof url, "mqtt://127.0.0.1:%u", port);
    assert_int_equal(tern_client_options_new(&fixed), 0);
    assert_int_equal(tern_client_options_set_client_id(fixed, "cut"), 0);
    assert_int_equal(tern_connection_options_new(&options), 0);
    assert_int_equal(tern_connection_options_add_server(options, url), 0);
    assert_int_equal(tern_connection_options_set_version(options, w->version), 0);
    assert_int_equal(tern_connection_options_set_session(options, TERN_SESSION_PERSISTENT, 3600),
                     0);
    assert_int_equal(tern_connection_options_set_retry_delay(options, 1, 1, TERN_JITTER_NONE), 0);
    assert_int_equal(tern_client_new(&client, fixed), 0);
    assert_int_equal(tern_client_configure(client, options), 0);
    assert_int_equal(tern_client_set_message_handler(client, on_message, s), 0);
    assert_int_equal(tern_client_set_delivery_handler(client, on_delivery, s), 0);
    tern_client_options_free(fixed);
    tern_connection_options_free(options);
    return client;
}

/* Copies of message i that the broker took, in `copies`; the first ones in ascending order [C8]. */
static void count_copies(mock_broker *broker, unsigned copies[MESSAGES])
{
    char text[64];
    unsigned highest = 0;
    memset(copies, 0, MESSAGES * sizeof *copies);
    for (size_t i = 0; mock_broker_message(broker, i, text, sizeof text); i++) {
        unsigned number = MESSAGES;
        assert_int_equal(sscanf(text, "out=%u/", &number), 1);
        assert_true(number < MESSAGES);
        assert_true(copies[number] != 0 || number >= highest);
        if (number > highest) highest = number;
        copies[number]++;
    }
}

/* What is wrong about message i (of QoS i % 3); NULL where nothing is. */
static const char *fault_of(const way *w, const seen *s, unsigned i, unsigned copies)
{
    int outcome = atomic_load(&s->outcome[i + 1]);
    int cause = atomic_load(&s->cause[i + 1]);
    bool delivered = outcome == TERN_OUTCOME_DELIVERED;
    if (atomic_load(&s->told[i + 1]) != 1) return "not one outcome [C1]";
    if (i % 3 == 0) {
        if (copies > 1) return "QoS 0 came twice [C5]";
        bool doubt = outcome == TERN_OUTCOME_UNKNOWN && cause == TERN_CAUSE_CONNECTION_LOST;
        return outcome != TERN_OUTCOME_SENT && !doubt ? "QoS 0 neither sent nor in doubt" : NULL;
    }
    if (i % 3 == 1) return !delivered || copies == 0 ? "QoS 1 not delivered [C5] [C7]" : NULL;
    if (copies > 1 || (delivered && copies != 1)) return "QoS 2 not exactly once [C5]";
    if (!w->lost) return delivered ? NULL : "QoS 2 not delivered [C5]";
    bool doubt = outcome == TERN_OUTCOME_UNKNOWN && cause == TERN_CAUSE_SESSION_LOST;
    return !delivered && !doubt ? "QoS 2 neither delivered nor in doubt [C7]" : NULL;
}

static void judge(const way *w, const seen *s, mock_broker *broker, size_t at)
{
    unsigned copies[MESSAGES];
    count_copies(broker, copies);
    for (unsigned i = 0; i < MESSAGES; i++) {
        const char *fault = fault_of(w, s, i, copies[i]);
        if (fault == NULL) continue;
        fail_msg("MQTT %d, cut %s after %zu bytes, session %s, message %u: %s (%s, %u copies)",
                 (int)w->version, w->outward ? "outward" : "inward", at,
                 w->lost ? "lost" : "resumed", i, fault,
                 tern_outcome_name((tern_outcome)atomic_load(&s->outcome[i + 1])), copies[i]);
    }
    assert_int_equal(atomic_load(&s->strange), 0);
    assert_true(atomic_load(&s->received[0]) <= 1);
    assert_true(atomic_load(&s->received[2]) <= 1); /* on this side too [C9] */
}

typedef struct end {
    seen *s;
    proxy *p;
    bool lost;
} end;

/* A session that is lost in the cut takes the broker's messages with it. */
static bool all_that_comes(void *argument)
{
    const end *e = argument;
    return all_received(e->s) || (e->lost && atomic_load(&e->p->cut));
}

static void use(tern_client *client, mock_broker *broker, end *e)
{
    tern_token *subscribed = NULL;
    assert_int_equal(tern_client_subscribe(client, "in", TERN_QOS_2, &subscribed), 0);
    assert_int_equal(tern_client_connect(client, NULL), 0);
    for (unsigned i = 0; i < MESSAGES; i++) {
        char digit = (char)('0' + (int)i);
        assert_int_equal(tern_client_publish(client, "out", &digit, 1, i % 3, NULL), 0);
    }
    assert_true(mock_broker_wait(broker, TERN__SUBSCRIBE, 1, PATIENCE));
    for (uint8_t qos = 0; qos < 3; qos++)
        mock_broker_publish(broker, "in", (const char[]){(char)('0' + qos)}, 1, qos);
    assert_int_equal(tern_token_wait(subscribed, PATIENCE), 0); /* [C21] */
    tern_token_unref(subscribed);
    assert_true(net_wait_until(all_told, e->s, PATIENCE));
    assert_true(net_wait_until(all_that_comes, e, PATIENCE)); /* [C9] */
    assert_int_equal(tern_client_close_wait(client, PATIENCE), 0);
}

/* False where the session was over before the cut. */
static bool run(const way *w, size_t at)
{
    proxy p;
    seen s;
    memset(&s, 0, sizeof s);
    mock_broker *broker = mock_broker_new();
    assert_non_null(broker);
    mock_broker_set_rules(broker, &(mock_rules){.forget = w->lost});
    proxy_start(&p, mock_broker_port(broker), w->outward, at);
    tern_client *client = make_client(w, p.port, &s);
    use(client, broker, &(end){&s, &p, w->lost});
    tern_client_free(client);
    proxy_stop(&p);
    judge(w, &s, broker, at);
    mock_broker_free(broker);
    return atomic_load(&p.cut);
}

static void sweep(tern_version version, bool lost)
{
    for (int outward = 0; outward < 2; outward++) {
        way w = {version, lost, outward != 0};
        size_t at = 1;
        while (run(&w, at)) at += STEP;
        assert_true(at > 50); /* it was a whole session */
    }
}

static void cut_5_resumed(void **state)
{
    (void)state;
    sweep(TERN_VERSION_5, false);
}

static void cut_5_lost(void **state)
{
    (void)state;
    sweep(TERN_VERSION_5, true);
}

static void cut_3_1_1_resumed(void **state)
{
    (void)state;
    sweep(TERN_VERSION_311, false);
}

static void cut_3_1_1_lost(void **state)
{
    (void)state;
    sweep(TERN_VERSION_311, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_5_resumed),
        cmocka_unit_test(cut_5_lost),
        cmocka_unit_test(cut_3_1_1_resumed),
        cmocka_unit_test(cut_3_1_1_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
