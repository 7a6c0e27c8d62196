/* Peers that take the connection and never answer, at each step of the way: the deadline is true, whatever is asked of the client
 * meanwhile happens, and no secret is told. SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <tern/tern.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "net/watch.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS, SHORT = 100, LOG_BYTES = 1 << 20 };
static const char SECRET[] = "open-sesame-4711"; /* part of everything that is secret */

/* A way to a server, and the step that stalls where the first peer never answers. */
typedef struct way {
    const char *url;   /* up to the port, which is the peer's */
    const char *path;  /* behind it */
    const char *proxy; /* as the URL; NULL none */
    tern_step step;
} way;

static const way ways[] = {
    {"mqtt://me:open-sesame-4711@127.0.0.1", "", NULL, TERN_STEP_MQTT},
#ifdef TERN_WITH_TLS
    {"mqtts://me:open-sesame-4711@127.0.0.1", "", NULL, TERN_STEP_TLS},
    {"wss://me:open-sesame-4711@127.0.0.1", "/mqtt?token=open-sesame-4711", NULL, TERN_STEP_TLS},
#endif
    {"ws://me:open-sesame-4711@127.0.0.1", "/mqtt?token=open-sesame-4711", NULL, TERN_STEP_WEBSOCKET},
    {"mqtt://me:open-sesame-4711@broker.invalid", "", "socks5://me:open-sesame-4711@127.0.0.1", TERN_STEP_PROXY},
    {"ws://me:open-sesame-4711@broker.invalid", "/?x=open-sesame-4711", "http://me:open-sesame-4711@127.0.0.1", TERN_STEP_PROXY},
};
enum { WAYS = sizeof ways / sizeof ways[0] };

typedef struct rig {
    int listener;
    uint16_t port;
    int peer; /* the client's connection; -1 before */
    tern_client *client;
    watch watch;
    pthread_mutex_t lock;
    char log[LOG_BYTES];
    size_t log_len;
} rig;

static rig r;

static void on_log(tern_log_level level, const char *text, void *user_data)
{
    (void)level;
    (void)user_data;
    pthread_mutex_lock(&r.lock);
    size_t len = strlen(text);
    if (len + 2 < sizeof r.log - r.log_len) {
        memcpy(r.log + r.log_len, text, len);
        r.log[r.log_len + len] = '\n';
        r.log_len += len + 1;
        r.log[r.log_len] = '\0';
    }
    pthread_mutex_unlock(&r.lock);
}

static void configure(const way *which, uint32_t timeout_ms)
{
    char text[200];
    tern_connection_options *options;
    assert_int_equal(tern_connection_options_new(&options), 0);
    snprintf(text, sizeof text, "%s:%u%s", which->url, (unsigned)r.port, which->path);
    assert_int_equal(tern_connection_options_add_server(options, text), 0);
    if (which->proxy != NULL) {
        snprintf(text, sizeof text, "%s:%u", which->proxy, (unsigned)r.port);
        assert_int_equal(tern_connection_options_set_proxy(options, text), 0);
    }
    assert_int_equal(tern_connection_options_add_header(options, "Authorization", SECRET), 0);
    assert_int_equal(tern_connection_options_set_connect_timeout(options, timeout_ms), 0);
    assert_int_equal(tern_connection_options_set_retry_delay(options, 1, 5, TERN_JITTER_FULL), 0);
    assert_int_equal(tern_client_configure(r.client, options), 0);
    tern_connection_options_free(options);
}

static void rig_init(const way *which, uint32_t timeout_ms)
{
    tern_client_options *options;
    r.log_len = 0;
    r.log[0] = '\0';
    r.peer = -1;
    r.listener = net_listen("127.0.0.1", &r.port);
    assert_true(r.listener >= 0);
    assert_int_equal(tern_client_options_new(&options), 0);
    assert_int_equal(tern_client_options_set_log(options, TERN_LOG_TRACE, on_log, NULL), 0);
    assert_int_equal(tern_client_new(&r.client, options), 0);
    tern_client_options_free(options);
    watch_init(&r.watch, r.client);
    configure(which, timeout_ms);
}

/* The client has said its first word, and waits for an answer. */
static void let_it_ask(void)
{
    if (r.peer >= 0) close(r.peer);
    r.peer = net_accept(r.listener, PATIENCE);
    assert_true(r.peer >= 0);
    assert_true(net_readable(r.peer, PATIENCE));
}

static void rig_free(void)
{
    tern_client_free(r.client);
    watch_deinit(&r.watch);
    if (r.peer >= 0) close(r.peer);
    close(r.listener);
    assert_true(r.peer < 0 || r.log_len != 0); /* a client that ended before it connected may have nothing to log */
    assert_null(strstr(r.log, SECRET));
    assert_null(strstr(r.log, "b3Blbi1zZXNhbWU")); /* in base64 */
}

static void the_deadline_is_true_at_each_step(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAYS; i++) {
        rig_init(&ways[i], SHORT);
        assert_int_equal(tern_client_connect(r.client, NULL), 0);
        let_it_ask();
        assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECT_FAILED, 1, PATIENCE));
        watch_record failed = watch_nth(&r.watch, TERN_EVENT_CONNECT_FAILED, 1);
        assert_int_equal(failed.error, TERN_E_TIMEOUT);
        assert_int_equal(failed.step, ways[i].step);
        assert_null(strstr(failed.text, SECRET));
        assert_null(strstr(failed.hint, SECRET));
        assert_null(strstr(failed.server, SECRET));
        assert_null(strstr(tern_client_error_text(r.client), SECRET));
        rig_free();
    }
}

static void disconnecting_ends_the_attempt(void)
{
    tern_token *token;
    assert_int_equal(tern_client_disconnect(r.client, 0, &token), 0);
    assert_int_equal(tern_token_wait(token, PATIENCE), 0);
    tern_token_unref(token);
    assert_int_equal(watch_count(&r.watch, TERN_EVENT_CONNECTED), 0);
    assert_int_equal(tern_client_connect(r.client, NULL), 0); /* and another one may follow */
    let_it_ask();
}

static void closing_ends_it(void)
{
    assert_int_equal(tern_client_publish(r.client, "t", "x", 1, TERN_QOS_1, NULL), 0);
    tern_token *closed;
    assert_int_equal(tern_client_close(r.client, 1, SHORT, &closed), 0);
    assert_int_equal(tern_token_wait(closed, PATIENCE), 0);
    tern_token_unref(closed);
}

/* What is set now goes for the next attempt; the one under way keeps what it began with. */
static void configuring_leaves_it(void)
{
    for (size_t i = 0; i < WAYS; i++) configure(&ways[i], PATIENCE);
    assert_int_equal(tern_client_retry(r.client), 0);
    close(r.peer); /* the attempt fails, and the next one comes by the last of the ways */
    r.peer = -1;
    let_it_ask();
}

/* [C15] */
static void forking_is_noticed(void)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool told = tern_client_connect(r.client, NULL) == TERN_E_FORKED && tern_client_retry(r.client) == TERN_E_FORKED &&
                    tern_client_disconnect(r.client, 0, NULL) == TERN_E_FORKED &&
                    tern_client_set_attempt_handler(r.client, NULL, NULL) == TERN_E_FORKED;
        tern_client_free(r.client);
        _exit(told ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    disconnecting_ends_the_attempt(); /* the parent's is as it was */
}

static void freeing_ends_it(void)
{
}

static void whatever_is_asked_happens_at_each_step(void **state)
{
    (void)state;
    static void (*const actions[])(void) = {disconnecting_ends_the_attempt, closing_ends_it, configuring_leaves_it, forking_is_noticed,
                                            freeing_ends_it};
    for (size_t i = 0; i < WAYS; i++) {
        for (size_t k = 0; k < sizeof actions / sizeof actions[0]; k++) {
            rig_init(&ways[i], PATIENCE);
            assert_int_equal(tern_client_connect(r.client, NULL), 0);
            let_it_ask();
            actions[k]();
            rig_free();
        }
    }
}

/* What the handler of attempts does to its own client. */
typedef enum deed { FREES, CLOSES, DISCONNECTS, CONFIGURES, LEAVES, DEEDS } deed;

typedef struct doer {
    deed deed;
    const way *which;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned done;
    tern_token *closed; /* of the client that it freed */
} doer;

static void on_attempt(tern_client *client, tern_attempt *attempt, void *user_data)
{
    doer *d = user_data;
    if (d->deed == FREES) {
        assert_int_equal(tern_client_close(client, 0, 0, &d->closed), 0);
        tern_client_free(client);
    }
    if (d->deed == CLOSES) assert_int_equal(tern_client_close(client, 0, 0, NULL), 0);
    if (d->deed == DISCONNECTS) assert_int_equal(tern_client_disconnect(client, 0, NULL), 0);
    if (d->deed == CONFIGURES) configure(d->which, PATIENCE);
    if (d->deed == LEAVES) assert_int_equal(tern_client_set_attempt_handler(client, NULL, NULL), 0);
    assert_non_null(tern_attempt_options(attempt)); /* good until it returns, whatever it did */
    assert_int_equal(tern_connection_options_set_keep_alive(tern_attempt_options(attempt), 7), 0);
    pthread_mutex_lock(&d->lock);
    d->done++;
    pthread_cond_signal(&d->changed);
    pthread_mutex_unlock(&d->lock);
}

static void the_handler_may_do_anything_to_its_client(void **state)
{
    (void)state;
    for (int what = 0; what < DEEDS; what++) {
        doer d = {.deed = (deed)what, .which = &ways[0]};
        pthread_mutex_init(&d.lock, NULL);
        pthread_cond_init(&d.changed, NULL);
        rig_init(&ways[0], PATIENCE);
        assert_int_equal(tern_client_set_attempt_handler(r.client, on_attempt, &d), 0);
        assert_int_equal(tern_client_connect(r.client, NULL), 0);
        pthread_mutex_lock(&d.lock);
        while (d.done == 0) pthread_cond_wait(&d.changed, &d.lock);
        pthread_mutex_unlock(&d.lock);
        if (what == FREES) {
            assert_int_equal(tern_token_wait(d.closed, PATIENCE), 0);
            tern_token_unref(d.closed);
            r.client = NULL;
        }
        if (what == DISCONNECTS) assert_true(watch_wait(&r.watch, TERN_EVENT_STOPPED, 1, PATIENCE));
        if (what == CONFIGURES || what == LEAVES) let_it_ask();
        rig_free();
        pthread_cond_destroy(&d.changed);
        pthread_mutex_destroy(&d.lock);
    }
}

int main(void)
{
    pthread_mutex_init(&r.lock, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_deadline_is_true_at_each_step),
        cmocka_unit_test(whatever_is_asked_happens_at_each_step),
        cmocka_unit_test(the_handler_may_do_anything_to_its_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
