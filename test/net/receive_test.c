/* Receiving: who gets which message, and what can be read from it.
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/tern.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "codec/props.h"
#include "net/rig.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS, HANDLERS = 12, NOTES = 64, BIG = 1 << 20 };

static const tern_version versions[] = {TERN_VERSION_311, TERN_VERSION_5};

static rig r;

/* ---- what handlers were called with ---- */

typedef struct desk {
    pthread_mutex_t lock;
    size_t count;
    char notes[NOTES][96]; /* "handler topic=payload/qos", with "d" and "r" */
} desk;

typedef struct handler {
    desk *at;
    char name[8];
} handler;

static desk d;
static handler handlers[HANDLERS];

static void on_message(tern_client *client, const tern_message *message, void *user_data)
{
    const handler *me = user_data;
    char text[80];
    (void)client;
    rig_describe(message, text, sizeof text);
    pthread_mutex_lock(&me->at->lock);
    if (me->at->count < NOTES)
        snprintf(me->at->notes[me->at->count], sizeof *me->at->notes, "%s %s", me->name, text);
    me->at->count++;
    pthread_mutex_unlock(&me->at->lock);
}

static void desk_init(void)
{
    memset(&d, 0, sizeof d);
    pthread_mutex_init(&d.lock, NULL);
}

static void desk_deinit(void)
{
    pthread_mutex_destroy(&d.lock);
}

/* How often the handlers were called with this. */
static unsigned noted(const char *note)
{
    unsigned times = 0;
    pthread_mutex_lock(&d.lock);
    for (size_t i = 0; i < d.count && i < NOTES; i++) times += strcmp(d.notes[i], note) == 0;
    pthread_mutex_unlock(&d.lock);
    return times;
}

static void *handler_named(size_t index, const char *name)
{
    handlers[index].at = &d;
    snprintf(handlers[index].name, sizeof handlers[index].name, "%s", name);
    return &handlers[index];
}

/* ---- without handlers ---- */

/* The token ends when one waits, or when waiting makes no sense any more. */
static void a_token_says_that_one_waits(void **state)
{
    (void)state;
    tern_token *token = NULL;
    tern_message *message = NULL;
    desk_init();
    rig_init(&r, TERN_VERSION_5);
    rig_start(&r);
    assert_int_equal(tern_client_receive_token(r.client, &token), 0);
    assert_int_equal(tern_token_error(token), TERN_E_AGAIN);
    rig_send_publish(&r, "a", "x", 0, 0, false);
    assert_int_equal(tern_token_wait(token, PATIENCE), 0);
    tern_token_unref(token);
    assert_int_equal(tern_client_receive(r.client, &message), 0);
    assert_string_equal(tern_message_text(message), "x");
    tern_message_unref(message);
    assert_int_equal(tern_client_receive_token(r.client, &token), 0);
    assert_int_equal(tern_client_set_message_handler(r.client, on_message, handler_named(0, "m")),
                     0);
    assert_int_equal(tern_token_wait(token, PATIENCE), TERN_E_STATE);
    tern_token_unref(token);
    token = (tern_token *)&r;
    assert_int_equal(tern_client_receive_token(r.client, &token), TERN_E_STATE);
    assert_null(token);
    assert_int_equal(tern_client_receive(r.client, &message), TERN_E_STATE);
    assert_null(message);
    assert_int_equal(tern_client_receive_wait(r.client, &message, PATIENCE), TERN_E_STATE);
    /* Without it again messages wait as before. */
    assert_int_equal(tern_client_set_message_handler(r.client, NULL, NULL), 0);
    rig_send_publish(&r, "a", "y", 0, 0, false);
    rig_expect_received(&r, "a=y/0");
    rig_free(&r);
    desk_deinit();
}

/* ---- handlers ---- */

typedef struct routed {
    const char *topic;
    const char *takers; /* letters of the handlers; "-" the general one */
} routed;

static const char *const filters[] = {"#",    "+/x",    "a/+",      "a/#", "a/x", "$share/g/+/x/#",
                                      "$SYS/#", "$SYS/+/z", "A/x", "/+"};

static const routed routes[] = {
    {"a/x", "abcdef"},
    {"a", "ad"}, /* "a/#" takes its parent too */
    {"a/x/y", "adf"}, /* the group plays no part in matching */
    {"b/x", "abf"},
    {"q", "a"},
    {"A/x", "abfi"},   /* bytes alone count [MQTT5-4.7.3-4] [MQTT311-4.7.3-4] */
    {"/x", "abfj"},     /* an empty first level */
    {"a/", "acd"},      /* and an empty last one */
    {"$SYS/x", "g"},    /* no wildcard takes the first level [MQTT5-4.7.2-1] [MQTT311-4.7.2-1] */
    {"$SYS/y/z", "gh"},
    {"$x", "-"},
    {"$q/x", "-"},
};

static void expect_route(const routed *route, uint16_t id)
{
    size_t takers = strlen(route->takers);
    char note[96];
    pthread_mutex_lock(&d.lock);
    size_t before = d.count;
    d.count = 0;
    pthread_mutex_unlock(&d.lock);
    assert_true(before <= NOTES);
    rig_send_publish(&r, route->topic, "x", 1, id, false);
    /* It is acknowledged when the last handler has returned: no call comes later. */
    assert_true(mock_broker_wait(r.broker, TERN__PUBACK, id, PATIENCE));
    for (size_t i = 0; i < takers; i++) {
        snprintf(note, sizeof note, "%c %s=x/1", route->takers[i], route->topic);
        if (noted(note) != 1) fail_msg("%s: %u times", note, noted(note));
    }
    pthread_mutex_lock(&d.lock);
    size_t calls = d.count;
    pthread_mutex_unlock(&d.lock);
    if (calls != takers) fail_msg("%s: %zu calls, not %zu", route->topic, calls, takers);
}

/* Overlapping filters: each matching handler once per PUBLISH, the general one what is left. [C9]
 * [MQTT5-4.7.1-1] [MQTT5-4.7.1-2] [MQTT311-4.7.1-2] [MQTT311-4.7.1-3] */
static void each_matching_handler_is_called_once(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        desk_init();
        rig_init(&r, versions[v]);
        rig_client(&r);
        for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
            char name[2] = {(char)('a' + (int)i), '\0'};
            assert_int_equal(tern_client_set_filter_handler(r.client, filters[i], on_message,
                                                            handler_named(i, name)),
                             0);
        }
        assert_int_equal(
            tern_client_set_message_handler(r.client, on_message, handler_named(HANDLERS - 1, "-")),
            0);
        rig_connect(&r);
        for (uint16_t i = 0; i < sizeof routes / sizeof *routes; i++)
            expect_route(&routes[i], (uint16_t)(i + 1));
        rig_free(&r);
        desk_deinit();
    }
}

/* Several of the client's own subscriptions, one copy from the broker: one call. And nothing is
 * called for a topic that was not asked for, but what takes everything. [C9] */
static void handlers_come_and_go(void **state)
{
    (void)state;
    desk_init();
    rig_init(&r, TERN_VERSION_5);
    rig_start(&r);
    assert_int_equal(tern_client_set_filter_handler(r.client, "a/#", on_message,
                                                    handler_named(0, "1")),
                     0);
    assert_int_equal(tern_client_set_filter_handler(r.client, "a/#", on_message,
                                                    handler_named(1, "2")),
                     0);
    rig_send_publish(&r, "a/b", "p", 1, 1, false);
    assert_true(mock_broker_wait(r.broker, TERN__PUBACK, 1, PATIENCE));
    assert_int_equal(noted("2 a/b=p/1"), 1); /* the second has replaced the first */
    assert_int_equal(noted("1 a/b=p/1"), 0);
    assert_int_equal(tern_client_set_filter_handler(r.client, "a/#", NULL, NULL), 0);
    assert_int_equal(tern_client_set_filter_handler(r.client, "a/#", NULL, NULL), TERN_E_NOT_FOUND);
    rig_send_publish(&r, "a/b", "q", 1, 2, false); /* no handler at all: it waits */
    rig_expect_received(&r, "a/b=q/1");
    /* A shared filter is the plain one to handlers, which replaces it. */
    for (size_t i = 2; i < 4; i++) {
        const char *filter = i == 2 ? "$share/g/s" : "s";
        assert_int_equal(tern_client_set_filter_handler(r.client, filter, on_message,
                                                        handler_named(i, i == 2 ? "3" : "4")),
                         0);
        rig_send_publish(&r, "s", "r", 1, (uint16_t)(i + 1), false);
        assert_true(mock_broker_wait(r.broker, TERN__PUBACK, i + 1, PATIENCE));
    }
    assert_int_equal(noted("3 s=r/1"), 1);
    assert_int_equal(noted("4 s=r/1"), 1);
    assert_int_equal(tern_client_set_filter_handler(r.client, "$share/h/s", NULL, NULL), 0);
    assert_int_equal(tern_client_set_filter_handler(r.client, "s", NULL, NULL), TERN_E_NOT_FOUND);
    assert_int_equal(d.count, 3);
    rig_free(&r);
    desk_deinit();
}

/* Handlers, and none of them takes it: an event says so, and the broker has its answer.
 * [MQTT5-4.5.0-2] [MQTT311-4.5.0-2] [MQTT5-3.3.2-3] */
static void what_nobody_takes_is_told(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        desk_init();
        rig_init(&r, versions[v]);
        rig_start(&r);
        assert_int_equal(
            tern_client_set_filter_handler(r.client, "mine", on_message, handler_named(0, "1")), 0);
        rig_send_publish(&r, "other", "x", 1, 7, false);
        rig_send_publish(&r, "other", "x", 2, 8, false);
        assert_true(mock_broker_wait(r.broker, TERN__PUBACK, 1, PATIENCE));
        assert_true(mock_broker_wait(r.broker, TERN__PUBCOMP, 1, PATIENCE));
        assert_true(watch_wait(&r.watch, TERN_EVENT_UNHANDLED, 1, PATIENCE));
        assert_non_null(strstr(watch_last(&r.watch, TERN_EVENT_UNHANDLED).text, "other"));
        uint64_t unhandled = 0;
        assert_int_equal(tern_client_stat(r.client, "messages_unhandled", &unhandled), 0);
        assert_int_equal(unhandled, 2);
        assert_int_equal(d.count, 0);
        rig_free(&r);
        desk_deinit();
    }
}

/* ---- what can be read ---- */

typedef struct keeper {
    pthread_mutex_t lock;
    tern_message *kept;
    int unref_changed; /* what setters say of a borrowed message */
} keeper;

static void keep(tern_client *client, const tern_message *message, void *user_data)
{
    keeper *k = user_data;
    tern_message *copy = NULL;
    (void)client;
    int rc = tern_message_set_topic((tern_message *)(uintptr_t)message, "changed");
    if (tern_message_keep(message, &copy) != 0) copy = NULL;
    pthread_mutex_lock(&k->lock);
    k->kept = copy;
    k->unref_changed = rc;
    pthread_mutex_unlock(&k->lock);
}

static void send_full(void)
{
    tern__buf props = {0};
    int rc = tern__props_add_number(&props, TERN__PROP_PAYLOAD_FORMAT, 1);
    rc |= tern__props_add_number(&props, TERN__PROP_MESSAGE_EXPIRY, 4000000000u);
    rc |= tern__props_add_text(&props, TERN__PROP_CONTENT_TYPE, "text/x", 6);
    rc |= tern__props_add_text(&props, TERN__PROP_RESPONSE_TOPIC, "re", 2);
    rc |= tern__props_add_text(&props, TERN__PROP_CORRELATION_DATA, "\0\xff", 2);
    rc |= tern__props_add_pair(&props, "k", 1, "one", 3);
    rc |= tern__props_add_number(&props, TERN__PROP_SUBSCRIPTION_ID, 1);
    rc |= tern__props_add_pair(&props, "k", 1, "", 0);
    rc |= tern__props_add_number(&props, TERN__PROP_SUBSCRIPTION_ID, 268435455);
    assert_int_equal(rc, 0);
    tern__packet packet = {.type = TERN__PUBLISH, .props = {props.data, props.len, 0}};
    packet.u.publish = (tern__publish_packet){.retain = true,
                                              .qos = 1,
                                              .packet_id = 5,
                                              .topic = view_of("t\xc3\xb6pic"),
                                              .payload = {(const uint8_t *)"a\0b", 3}};
    rig_send(&r, &packet);
    tern__buf_deinit(&props);
}

static void expect_bytes(const void *data, size_t length, const char *want, size_t want_length)
{
    assert_non_null(data);
    assert_int_equal(length, want_length);
    assert_memory_equal(data, want, want_length);
}

static void expect_full(const tern_message *m)
{
    const char *name = NULL, *value = NULL;
    size_t length = 0, name_length = 0;
    uint32_t seconds = 0;
    assert_string_equal(tern_message_topic(m), "t\xc3\xb6pic");
    assert_int_equal(tern_message_topic_length(m), 6);
    expect_bytes(tern_message_payload(m), tern_message_payload_length(m), "a\0b", 3);
    assert_int_equal(((const char *)tern_message_payload(m))[3], 0);
    assert_string_equal(tern_message_text(m), "a");
    assert_int_equal(tern_message_qos(m), 1);
    assert_int_equal(tern_message_retained(m), 1);
    assert_int_equal(tern_message_duplicate(m), 0);
    assert_int_equal(tern_message_payload_format(m), 1);
    assert_int_equal(tern_message_expiry(m, &seconds), 1);
    assert_int_equal(seconds, 4000000000u);
    const char *text = tern_message_content_type(m, &length);
    expect_bytes(text, length, "text/x", 6);
    text = tern_message_response_topic(m, &length);
    expect_bytes(text, length, "re", 2);
    const void *data = tern_message_correlation_data(m, &length);
    expect_bytes(data, length, "\0\xff", 2);
    assert_int_equal(tern_message_user_property_count(m), 2);
    assert_int_equal(tern_message_user_property(m, 0, &name, &name_length, &value, &length), 0);
    expect_bytes(name, name_length, "k", 1);
    expect_bytes(value, length, "one", 3);
    assert_int_equal(tern_message_user_property(m, 1, NULL, NULL, NULL, &length), 0);
    assert_int_equal(length, 0);
    assert_int_equal(tern_message_user_property(m, 2, &name, NULL, NULL, NULL), TERN_E_NOT_FOUND);
    assert_int_equal(tern_message_subscription_id_count(m), 2);
    assert_int_equal(tern_message_subscription_id(m, 0), 1);
    assert_int_equal(tern_message_subscription_id(m, 1), 268435455);
    assert_int_equal(tern_message_subscription_id(m, 2), 0);
}

static void expect_bare(const tern_message *m)
{
    size_t length = 99;
    assert_string_equal(tern_message_text(m), "");
    assert_non_null(tern_message_payload(m));
    assert_int_equal(tern_message_payload_length(m), 0);
    assert_int_equal(tern_message_payload_format(m), -1);
    assert_int_equal(tern_message_expiry(m, NULL), 0);
    assert_null(tern_message_content_type(m, &length));
    assert_int_equal(length, 0);
    assert_null(tern_message_response_topic(m, NULL));
    assert_null(tern_message_correlation_data(m, NULL));
    assert_int_equal(tern_message_user_property_count(m), 0);
    assert_int_equal(tern_message_subscription_id_count(m), 0);
}

/* A kept copy has all of it, and outlives the callback, the connection and the client. */
static void a_kept_message_has_everything(void **state)
{
    (void)state;
    keeper k = {.lock = PTHREAD_MUTEX_INITIALIZER};
    rig_init(&r, TERN_VERSION_5);
    rig_client(&r);
    assert_int_equal(tern_client_set_message_handler(r.client, keep, &k), 0);
    rig_connect(&r);
    send_full();
    assert_true(mock_broker_wait(r.broker, TERN__PUBACK, 1, PATIENCE));
    assert_int_equal(tern_client_set_message_handler(r.client, NULL, NULL), 0);
    rig_send_publish(&r, "bare", "", 1, 6, false);
    tern_message *bare = NULL;
    assert_int_equal(tern_client_receive_wait(r.client, &bare, PATIENCE), 0);
    rig_free(&r);
    assert_non_null(k.kept);
    assert_int_equal(k.unref_changed, TERN_E_STATE); /* what is borrowed cannot be changed */
    expect_full(k.kept);
    expect_bare(bare);
    tern_message *again = NULL;
    assert_int_equal(tern_message_keep(k.kept, &again), 0);
    tern_message_unref(k.kept);
    expect_full(again);
    tern_message_unref(again);
    tern_message_unref(bare);
}

/* ---- large ones ---- */

typedef struct tally {
    pthread_mutex_t lock;
    unsigned large;
    unsigned small;
    unsigned wrong;
} tally;

static bool is_pattern(const uint8_t *data, size_t length, uint8_t seed)
{
    for (size_t i = 0; i < length; i++)
        if (data[i] != (uint8_t)(seed + i * 7 + (i >> 8))) return false;
    return true;
}

static void count_it(tern_client *client, const tern_message *message, void *user_data)
{
    tally *all = user_data;
    const uint8_t *data = tern_message_payload(message);
    size_t length = tern_message_payload_length(message);
    (void)client;
    pthread_mutex_lock(&all->lock);
    unsigned index = all->large + all->small;
    bool large = index % 3 == 1;
    size_t want = large ? BIG + index : index;
    if (length != want || data[length] != 0 || !is_pattern(data, length, (uint8_t)index) ||
        strcmp(tern_message_topic(message), large ? "big" : "small") != 0)
        all->wrong++;
    all->large += large;
    all->small += !large;
    pthread_mutex_unlock(&all->lock);
}

/* Several of 1 MiB among small ones, in wire order and unharmed. */
static void large_messages_among_small_ones(void **state)
{
    (void)state;
    enum { COUNT = 25 };
    uint8_t *data = malloc(BIG + COUNT);
    assert_non_null(data);
    for (size_t v = 0; v < 2; v++) {
        tally all = {.lock = PTHREAD_MUTEX_INITIALIZER};
        rig_init(&r, versions[v]);
        rig_client(&r);
        assert_int_equal(tern_client_set_message_handler(r.client, count_it, &all), 0);
        rig_connect(&r);
        assert_int_equal(tern_client_subscribe_wait(r.client, "#", TERN_QOS_2, PATIENCE), 0);
        for (unsigned i = 0; i < COUNT; i++) {
            size_t length = i % 3 == 1 ? BIG + i : i;
            for (size_t k = 0; k < length; k++) data[k] = (uint8_t)(i + k * 7 + (k >> 8));
            uint8_t qos = i == COUNT - 1 ? 1 : (uint8_t)(i % 4 % 3);
            mock_broker_publish(r.broker, i % 3 == 1 ? "big" : "small", data, length, qos);
        }
        assert_true(mock_broker_wait(r.broker, TERN__PUBACK, COUNT / 4 + 1, PATIENCE));
        assert_true(mock_broker_wait(r.broker, TERN__PUBCOMP, COUNT / 4, PATIENCE));
        tern_client_free(r.client);
        r.client = NULL;
        watch_deinit(&r.watch);
        assert_int_equal(all.large, COUNT / 3);
        assert_int_equal(all.small, COUNT - COUNT / 3);
        assert_int_equal(all.wrong, 0);
        rig_free(&r);
    }
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_says_that_one_waits),
        cmocka_unit_test(each_matching_handler_is_called_once),
        cmocka_unit_test(handlers_come_and_go),
        cmocka_unit_test(what_nobody_takes_is_told),
        cmocka_unit_test(a_kept_message_has_everything),
        cmocka_unit_test(large_messages_among_small_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
