/* Subscribing: what is asked, what the server answers, and what is asked again. [C21]
 * SPDX-License-Identifier: Apache-2.0 */
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

#include "codec/decode.h"
#include "codec/props.h"
#include "net/rig.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS, BRIEF_MS = 20 };

static const tern_version versions[] = {TERN_VERSION_311, TERN_VERSION_5};

static rig r;

/* ---- helpers ---- */

/* Of the index-th SUBSCRIBE or UNSUBSCRIBE, as "a:01 b:02" or "a b". */
static void expect_filters(uint8_t type, size_t index, const char *want)
{
    char text[256] = "";
    tern__packet packet = rig_packet(&r, type, index);
    tern__view rest = packet.u.subscribe.filters;
    tern__view filter;
    uint8_t options = 0;
    while (tern__filters_next(&rest, type == TERN__SUBSCRIBE, &filter, &options)) {
        size_t at = strlen(text);
        snprintf(text + at, sizeof text - at, "%s%.*s", at != 0 ? " " : "", (int)filter.len,
                 (const char *)filter.data);
        at = strlen(text);
        if (type == TERN__SUBSCRIBE) snprintf(text + at, sizeof text - at, ":%02x", options);
    }
    assert_string_equal(text, want);
}

/* A wish that is made again: on MQTT 5 it asks for retained messages only where the server does not
 * know it any more. */
static void expect_repeated(size_t index, const char *v311, const char *v5)
{
    expect_filters(TERN__SUBSCRIBE, index, r.version == TERN_VERSION_5 ? v5 : v311);
}

static void expect_codes(tern_token *token, int error, const uint8_t *codes, size_t count)
{
    assert_int_equal(tern_token_wait(token, PATIENCE), error);
    assert_int_equal(tern_token_error(token), error);
    assert_int_equal(tern_token_reason_count(token), count);
    for (size_t i = 0; i < count; i++) assert_int_equal(tern_token_reason_code(token, i), codes[i]);
    assert_int_equal(tern_token_reason_code(token, count), -1);
    assert_int_equal(tern_token_outcome(token), TERN_OUTCOME_PENDING); /* it is no publish's */
    assert_int_equal(tern_token_message_id(token), 0);
    tern_token_unref(token);
}

static tern_token *subscribe(const char *filter, uint32_t flags)
{
    tern_token *token = NULL;
    assert_int_equal(tern_client_subscribe(r.client, filter, flags, &token), 0);
    return token;
}

static tern_subscription *list(const char *const *filters, const uint32_t *flags, size_t count)
{
    tern_subscription *all = NULL;
    assert_int_equal(tern_subscription_new(&all), 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(tern_subscription_add(all, filters[i], flags[i]), 0);
    assert_int_equal(tern_subscription_count(all), count);
    return all;
}

static tern_token *subscribe_all(tern_subscription *all)
{
    tern_token *token = NULL;
    assert_int_equal(tern_client_subscribe_all(r.client, all, &token), 0);
    tern_subscription_free(all);
    return token;
}

/* The server forgets, and the client comes back. */
static void lose_session(void)
{
    rig_rules(&r, (mock_rules){.forget = true});
    rig_cut(&r);
    uint64_t lost = watch_count(&r.watch, TERN_EVENT_DISCONNECTED);
    assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, lost + 1, PATIENCE));
    assert_int_equal(watch_last(&r.watch, TERN_EVENT_CONNECTED).session_present, 0);
    rig_rules(&r, (mock_rules){0});
}

typedef struct answer {
    uint8_t codes[4]; /* as many as there are filters */
    const char *text; /* reason string; NULL none */
} answer;

/* Answers SUBSCRIBE and UNSUBSCRIBE with codes of the test's own. */
static bool answer_so(mock_broker *broker, mock_peer *peer, const tern__packet *packet,
                      void *user_data)
{
    (void)broker;
    const answer *with = user_data;
    if (packet->type != TERN__SUBSCRIBE && packet->type != TERN__UNSUBSCRIBE) return false;
    tern__buf props = {0};
    if (with->text != NULL &&
        tern__props_add_text(&props, TERN__PROP_REASON_STRING, with->text, strlen(with->text)) != 0)
        abort();
    tern__packet ack = {.type = (uint8_t)(packet->type + 1), .props = {props.data, props.len, 0}};
    ack.u.suback = (tern__suback_packet){packet->u.subscribe.packet_id,
                                         {with->codes, packet->u.subscribe.count}};
    mock_send(peer, &ack);
    tern__buf_deinit(&props);
    return true;
}

static const char *const abc[] = {"a", "b/+", "c/#"};
static const uint32_t qos_012[] = {TERN_QOS_0, TERN_QOS_1, TERN_QOS_2};

/* ---- answers ---- */

/* A code a filter, in their order; the server may grant less than was asked. [MQTT5-3.9.3-1]
 * [MQTT5-3.8.4-6] [MQTT311-3.8.4-5] */
static void each_filter_has_its_code(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        static answer less = {.codes = {0, 0, 1}};
        rig_init(&r, versions[v]);
        rig_start(&r);
        expect_codes(subscribe_all(list(abc, qos_012, 3)), 0, (const uint8_t[]){0, 1, 2}, 3);
        expect_filters(TERN__SUBSCRIBE, 0, "a:00 b/+:01 c/#:02");
        rig_script(&r, answer_so, &less);
        expect_codes(subscribe_all(list(abc, qos_012, 3)), 0, less.codes, 3);
        rig_free(&r);
    }
}

/* Every refusal of the table, with the server's words. [MQTT5-3.8.4-7] [MQTT5-3.9.3-2] */
static void each_refusal_is_told(void **state)
{
    (void)state;
    static answer with;
    unsigned refusals = 0;
    char line[256];
    FILE *file = fopen(TERN_TEST_DATA "/mqtt5_reason_codes.tsv", "r");
    assert_non_null(file);
    rig_init(&r, TERN_VERSION_5);
    rig_start(&r);
    while (fgets(line, sizeof line, file) != NULL) {
        char *end = NULL;
        unsigned long code = strtoul(line, &end, 16);
        if (end == line || *end != '\t' || code < 0x80 || strstr(end, "SUBACK") == NULL) continue;
        if (strstr(end, ",SUBACK") == NULL && strstr(end, "\tSUBACK") == NULL) continue;
        with = (answer){.codes = {(uint8_t)code}, .text = "not here"};
        rig_script(&r, answer_so, &with);
        tern_token *token = subscribe("x", TERN_QOS_1);
        assert_int_equal(tern_token_wait(token, PATIENCE), TERN_E_REFUSED);
        assert_string_equal(tern_token_reason_string(token), "not here");
        assert_non_null(strstr(tern_token_error_text(token), tern_reason_text((int)code)));
        expect_codes(token, TERN_E_REFUSED, with.codes, 1);
        assert_int_equal(tern_client_subscribe_wait(r.client, "x", TERN_QOS_0, PATIENCE),
                         TERN_E_REFUSED);
        refusals++;
    }
    fclose(file);
    assert_int_equal(refusals, 9);
    rig_script(&r, NULL, NULL);
    size_t before = rig_packets(&r, TERN__SUBSCRIBE);
    lose_session();
    rig_barrier(&r); /* the first that is asked now: nothing was made again */
    assert_int_equal(rig_packets(&r, TERN__SUBSCRIBE), before + 1);
    rig_free(&r);
}

/* One of several is refused: so is the call, the others stand, and it is not made again. [C21] */
static void one_of_several_is_refused(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        static answer some = {.codes = {0, 0x80, 2}};
        rig_init(&r, versions[v]);
        rig_start(&r);
        rig_script(&r, answer_so, &some);
        expect_codes(subscribe_all(list(abc, qos_012, 3)), TERN_E_REFUSED, some.codes, 3);
        tern_subscription *all = list(abc, qos_012, 3);
        assert_int_equal(tern_client_subscribe_all_wait(r.client, all, PATIENCE), TERN_E_REFUSED);
        tern_subscription_free(all);
        assert_int_equal(tern_client_subscribe_wait(r.client, "b/+", TERN_QOS_0, PATIENCE), 0);
        some.codes[0] = 0x80;
        assert_int_equal(tern_client_subscribe_wait(r.client, "b/+", TERN_QOS_0, PATIENCE),
                         TERN_E_REFUSED); /* it was granted once, and is not any more */
        some.codes[0] = 0;
        rig_script(&r, NULL, NULL);
        lose_session();
        assert_true(mock_broker_wait(r.broker, TERN__SUBSCRIBE, 5, PATIENCE));
        expect_repeated(4, "a:00 c/#:02", "a:10 c/#:12");
        rig_free(&r);
    }
}

/* What the server says that it cannot do is not asked. [MQTT5-3.2.2-14] */
static void what_the_server_cannot_do(void **state)
{
    (void)state;
    static const mock_rules rules = {
        .connack_props = {TERN__PROP_WILDCARD_AVAILABLE, 0, TERN__PROP_SUBSCRIPTION_ID_AVAILABLE, 0,
                          TERN__PROP_SHARED_AVAILABLE, 0},
        .connack_props_len = 6};
    rig_init(&r, TERN_VERSION_5);
    rig_rules(&r, rules);
    rig_start(&r);
    assert_int_equal(tern_client_subscribe_wait(r.client, "a/+", 0, PATIENCE), TERN_E_UNSUPPORTED);
    assert_int_equal(tern_client_subscribe_wait(r.client, "#", 0, PATIENCE), TERN_E_UNSUPPORTED);
    assert_int_equal(tern_client_subscribe_wait(r.client, "$share/g/a", 0, PATIENCE),
                     TERN_E_UNSUPPORTED);
    tern_subscription *numbered = list(abc, qos_012, 1);
    assert_int_equal(tern_subscription_set_identifier(numbered, 5), 0);
    assert_int_equal(tern_client_subscribe_all_wait(r.client, numbered, PATIENCE),
                     TERN_E_UNSUPPORTED);
    tern_subscription_free(numbered);
    assert_int_equal(rig_packets(&r, TERN__SUBSCRIBE), 0);
    assert_int_equal(tern_client_subscribe_wait(r.client, "plain", 0, PATIENCE), 0);
    rig_free(&r);
}

/* ---- wishes ---- */

/* A wait that times out keeps the wish: it is asked again, whatever the session. */
static void a_wait_that_times_out_keeps_the_wish(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        rig_init(&r, versions[v]);
        rig_rules(&r, (mock_rules){.no_suback = true});
        rig_start(&r);
        assert_int_equal(tern_client_subscribe_wait(r.client, "t", TERN_QOS_1, BRIEF_MS),
                         TERN_E_TIMEOUT);
        assert_true(mock_broker_wait(r.broker, TERN__SUBSCRIBE, 1, PATIENCE));
        rig_rules(&r, (mock_rules){0});
        rig_cut(&r);
        assert_true(mock_broker_wait(r.broker, TERN__SUBSCRIBE, 2, PATIENCE));
        expect_filters(TERN__SUBSCRIBE, 1, "t:01");
        mock_broker_publish(r.broker, "t", "x", 1, 1);
        rig_expect_received(&r, "t=x/1");
        lose_session();
        assert_true(mock_broker_wait(r.broker, TERN__SUBSCRIBE, 3, PATIENCE));
        expect_repeated(2, "t:01", "t:11");
        rig_free(&r);
    }
}

/* The link is lost before the answer: asked again, and the token ends with the second answer. */
static void a_link_lost_before_the_answer(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        rig_init(&r, versions[v]);
        rig_rules(&r, (mock_rules){.no_suback = true});
        rig_start(&r);
        tern_token *one = subscribe_all(list(abc, qos_012, 3));
        tern_token *other = NULL;
        assert_int_equal(tern_client_unsubscribe(r.client, "z", &other), 0);
        assert_true(mock_broker_wait(r.broker, TERN__UNSUBSCRIBE, 1, PATIENCE));
        assert_int_equal(rig_packets(&r, TERN__SUBSCRIBE), 1);
        rig_rules(&r, (mock_rules){0});
        rig_cut(&r);
        expect_codes(one, 0, (const uint8_t[]){0, 1, 2}, 3);
        expect_codes(other, 0, (const uint8_t[]){0}, v); /* 3.1.1 has no codes there */
        expect_filters(TERN__SUBSCRIBE, 1, "a:00 b/+:01 c/#:02");
        expect_filters(TERN__UNSUBSCRIBE, 1, "z");
        assert_int_equal(rig_packets(&r, TERN__SUBSCRIBE), 2);
        rig_free(&r);
    }
}

/* Asked before there is a connection, and between two. */
static void wishes_wait_for_a_connection(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        rig_init(&r, versions[v]);
        rig_client(&r);
        tern_token *early = subscribe("early", TERN_QOS_1);
        assert_int_equal(tern_token_wait(early, 0), TERN_E_TIMEOUT);
        rig_connect(&r);
        expect_codes(early, 0, (const uint8_t[]){1}, 1);
        mock_broker_listen(r.broker, false);
        rig_cut(&r);
        tern_token *between = subscribe("between", TERN_QOS_2);
        mock_broker_listen(r.broker, true);
        expect_codes(between, 0, (const uint8_t[]){2}, 1);
        /* The session was there: what had been answered is not asked again. */
        assert_int_equal(rig_packets(&r, TERN__SUBSCRIBE), 2);
        expect_filters(TERN__SUBSCRIBE, 1, "between:02");
        rig_free(&r);
    }
}

/* Given up: with codes, no more messages, and not asked for again. [MQTT5-3.10.4-5] */
static void unsubscribing_ends_the_wish(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        static answer none = {.codes = {0, 0x11, 0x87}, .text = "well"};
        rig_init(&r, versions[v]);
        rig_start(&r);
        assert_int_equal(tern_client_subscribe_wait(r.client, "keep", TERN_QOS_1, PATIENCE), 0);
        assert_int_equal(tern_client_subscribe_wait(r.client, "drop", TERN_QOS_1, PATIENCE), 0);
        tern_token *token = NULL;
        assert_int_equal(tern_client_unsubscribe(r.client, "drop", &token), 0);
        expect_codes(token, 0, (const uint8_t[]){0}, v);
        expect_filters(TERN__UNSUBSCRIBE, 0, "drop");
        mock_broker_publish(r.broker, "drop", "x", 1, 1);
        mock_broker_publish(r.broker, "keep", "x", 1, 1);
        rig_expect_received(&r, "keep=x/1");
        if (v == 1) { /* the codes of MQTT 5, one a filter, and its words */
            rig_script(&r, answer_so, &none);
            tern_subscription *all = list(abc, qos_012, 3);
            assert_int_equal(tern_client_unsubscribe_all(r.client, all, &token), 0);
            tern_subscription_free(all);
            assert_int_equal(tern_token_wait(token, PATIENCE), TERN_E_REFUSED);
            assert_string_equal(tern_token_reason_string(token), "well");
            expect_codes(token, TERN_E_REFUSED, none.codes, 3);
            expect_filters(TERN__UNSUBSCRIBE, 1, "a b/+ c/#");
            rig_script(&r, NULL, NULL);
        }
        assert_int_equal(tern_client_unsubscribe_wait(r.client, "never", PATIENCE), 0);
        lose_session();
        assert_true(mock_broker_wait(r.broker, TERN__SUBSCRIBE, 3, PATIENCE));
        expect_repeated(2, "keep:01", "keep:11");
        rig_free(&r);
    }
}

/* Asked for twice: one wish, the later one. */
static void a_filter_is_one_wish(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        rig_init(&r, versions[v]);
        rig_start(&r);
        assert_int_equal(tern_client_subscribe_wait(r.client, "t", TERN_QOS_0, PATIENCE), 0);
        assert_int_equal(tern_client_subscribe_wait(r.client, "t", TERN_QOS_2, PATIENCE), 0);
        lose_session();
        assert_true(mock_broker_wait(r.broker, TERN__SUBSCRIBE, 3, PATIENCE));
        expect_repeated(2, "t:02", "t:12");
        rig_barrier(&r);
        assert_int_equal(rig_packets(&r, TERN__SUBSCRIBE), 4);
        rig_free(&r);
    }
}

/* The session is lost: wishes first, then what waits. [C7] */
static void wishes_come_before_the_backlog(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        rig_init(&r, versions[v]);
        rig_start(&r);
        assert_int_equal(tern_client_subscribe_wait(r.client, "one/#", TERN_QOS_1, PATIENCE), 0);
        assert_int_equal(tern_client_subscribe_wait(r.client, "two", TERN_QOS_2, PATIENCE), 0);
        mock_broker_listen(r.broker, false);
        rig_cut(&r);
        assert_int_equal(tern_client_publish(r.client, "one/x", "0", 1, TERN_QOS_0, NULL), 0);
        assert_int_equal(tern_client_publish(r.client, "one/x", "1", 1, TERN_QOS_1, NULL), 0);
        assert_int_equal(tern_client_publish(r.client, "two", "2", 1, TERN_QOS_2, NULL), 0);
        rig_rules(&r, (mock_rules){.forget = true});
        mock_broker_listen(r.broker, true);
        assert_int_equal(tern_client_flush_wait(r.client, PATIENCE), 0);
        size_t first = rig_position(&r, TERN__PUBLISH, 0);
        for (size_t i = 2; i < rig_packets(&r, TERN__SUBSCRIBE); i++)
            assert_true(rig_position(&r, TERN__SUBSCRIBE, i) < first);
        rig_expect_received(&r, "one/x=0/0"); /* so nothing of it is missed */
        rig_expect_received(&r, "one/x=1/1");
        rig_expect_received(&r, "two=2/2");
        rig_free(&r);
    }
}

/* ---- the wire ---- */

typedef struct option {
    uint32_t flags;
    uint8_t byte; /* of MQTT 5 */
} option;

static const option options[] = {
    {TERN_QOS_0, 0x00},
    {TERN_QOS_1 | TERN_NO_LOCAL, 0x05},
    {TERN_QOS_2 | TERN_RETAIN_AS_PUBLISHED, 0x0A},
    {TERN_QOS_0 | TERN_RETAINED_IF_NEW, 0x10},
    {TERN_QOS_1 | TERN_RETAINED_NEVER, 0x21},
    {TERN_QOS_2 | TERN_NO_LOCAL | TERN_RETAIN_AS_PUBLISHED | TERN_RETAINED_NEVER, 0x2E},
};

/* All options, of which 3.1.1 has the QoS alone. [MQTT5-3.8.3-5] [MQTT311-3.8.3-4] */
static void options_on_the_wire(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        rig_init(&r, versions[v]);
        rig_start(&r);
        for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
            char want[16];
            uint8_t byte = v == 1 ? options[i].byte : options[i].byte & 3;
            assert_int_equal(
                tern_client_subscribe_wait(r.client, "t", options[i].flags, PATIENCE), 0);
            snprintf(want, sizeof want, "t:%02x", byte);
            expect_filters(TERN__SUBSCRIBE, i, want);
        }
        rig_free(&r);
    }
}

static void expect_numbered(const tern__packet *packet, size_t v)
{
    tern__view rest = {packet->props.data, packet->props.len};
    tern__prop prop;
    assert_int_equal(tern__props_number(&packet->props, TERN__PROP_SUBSCRIPTION_ID, 0),
                     v == 1 && packet->type == TERN__SUBSCRIBE ? 268435455 : 0);
    unsigned pairs = 0;
    while (tern__props_next(&rest, &prop)) {
        if (prop.id != TERN__PROP_USER_PROPERTY) continue;
        assert_true(view_is(prop.name, "k"));
        assert_true(view_is(prop.text, pairs == 0 ? "1" : "2"));
        pairs++;
    }
    assert_int_equal(pairs, v == 1 ? 2 : 0);
}

/* Identifier and user properties, also when made again; UNSUBSCRIBE has no identifier. */
static void properties_on_the_wire(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        rig_init(&r, versions[v]);
        rig_start(&r);
        tern_subscription *all = list(abc, qos_012, 2);
        assert_int_equal(tern_subscription_set_identifier(all, 268435455), 0);
        assert_int_equal(tern_subscription_add_user_property(all, "k", "1"), 0);
        assert_int_equal(tern_subscription_add_user_property(all, "k", "2"), 0);
        assert_int_equal(tern_client_subscribe_all_wait(r.client, all, PATIENCE), 0);
        tern__packet first = rig_packet(&r, TERN__SUBSCRIBE, 0);
        expect_numbered(&first, v);
        lose_session();
        assert_true(mock_broker_wait(r.broker, TERN__SUBSCRIBE, 2, PATIENCE));
        tern__packet again = rig_packet(&r, TERN__SUBSCRIBE, 1);
        assert_int_equal(tern__props_number(&again.props, TERN__PROP_SUBSCRIPTION_ID, 0),
                         v == 1 ? 268435455 : 0);
        tern_token *token = NULL;
        assert_int_equal(tern_client_unsubscribe_all(r.client, all, &token), 0);
        assert_int_equal(tern_token_wait(token, PATIENCE), 0);
        tern_token_unref(token);
        tern__packet gone = rig_packet(&r, TERN__UNSUBSCRIBE, 0);
        expect_numbered(&gone, v);
        tern_subscription_free(all);
        rig_free(&r);
    }
}

/* ---- wrong arguments ---- */

typedef struct wrong {
    const char *filter;
    uint32_t flags;
    int error;
} wrong;

static char long_filter[65536 + 1];

static const wrong wrongs[] = {
    {NULL, 0, TERN_E_INVALID},
    {"", 0, TERN_E_FILTER}, /* [MQTT5-4.7.3-1] [MQTT311-4.7.3-1] */
    {"a#", 0, TERN_E_FILTER}, /* [MQTT5-4.7.1-1] [MQTT311-4.7.1-2] */
    {"a/#/b", 0, TERN_E_FILTER},
    {"#/", 0, TERN_E_FILTER},
    {"##", 0, TERN_E_FILTER},
    {"a+", 0, TERN_E_FILTER}, /* [MQTT5-4.7.1-2] [MQTT311-4.7.1-3] */
    {"+a/b", 0, TERN_E_FILTER},
    {"a/b+/c", 0, TERN_E_FILTER},
    {"$share", 0, 0}, /* no shared one, but a topic of that name */
    {"$share/g", 0, TERN_E_FILTER}, /* [MQTT5-4.8.2-2] */
    {"$share/g/", 0, TERN_E_FILTER},
    {"$share//a", 0, TERN_E_FILTER}, /* [MQTT5-4.8.2-1] */
    {"$share/g+/a", 0, TERN_E_FILTER},
    {"$share/#/a", 0, TERN_E_FILTER},
    {"$share/g/a#", 0, TERN_E_FILTER},
    {"a\xff", 0, TERN_E_UTF8}, /* [MQTT5-3.8.3-1] [MQTT311-3.8.3-1] */
    {"\xf4\x90\x80\x80", 0, TERN_E_UTF8},
    {long_filter, 0, TERN_E_TOO_LARGE}, /* [MQTT5-4.7.3-3] [MQTT311-4.7.3-3] */
    {"a", 3, TERN_E_INVALID},
    {"a", 0x40, TERN_E_INVALID},
    {"a", TERN_RETAIN, TERN_E_INVALID},
    {"a", TERN_RETAINED_IF_NEW | TERN_RETAINED_NEVER, TERN_E_INVALID},
    {"$share/g/a", TERN_NO_LOCAL, TERN_E_INVALID}, /* [MQTT5-3.8.3-4] */
    {"$share/g/a", TERN_QOS_2, 0},
    {"/", 0, 0},
    {"+/+/#", 0, 0},
    {"//#", TERN_QOS_1, 0},
};

static void expect_wrong(const wrong *w)
{
    tern_token *token = (tern_token *)&r;
    tern_subscription *all = NULL;
    assert_int_equal(tern_client_subscribe(r.client, w->filter, w->flags, &token), w->error);
    if (w->error != 0) assert_null(token);
    tern_token_unref(token);
    assert_int_equal(tern_client_subscribe_wait(r.client, w->filter, w->flags, PATIENCE), w->error);
    assert_int_equal(tern_subscription_new(&all), 0);
    assert_int_equal(tern_subscription_add(all, w->filter, w->flags), w->error);
    assert_int_equal(tern_subscription_count(all), w->error == 0);
    tern_subscription_free(all);
    if (w->flags != 0) return;
    assert_int_equal(tern_client_unsubscribe_wait(r.client, w->filter, PATIENCE), w->error);
}

static void bad_filters_have_their_errors(void **state)
{
    (void)state;
    tern_token *token = (tern_token *)&r;
    tern_subscription *none = NULL;
    size_t good = 0;
    memset(long_filter, 'f', sizeof long_filter - 1);
    rig_init(&r, TERN_VERSION_5);
    rig_start(&r);
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        expect_wrong(&wrongs[i]);
        good += wrongs[i].error == 0;
    }
    assert_int_equal(rig_packets(&r, TERN__SUBSCRIBE), 2 * good); /* the others went nowhere */
    assert_int_equal(tern_subscription_new(&none), 0);
    assert_int_equal(tern_client_subscribe_all(r.client, none, &token), TERN_E_INVALID);
    assert_null(token); /* [MQTT5-3.8.3-2] [MQTT311-3.8.3-3] */
    assert_int_equal(tern_client_unsubscribe_all(r.client, none, NULL), TERN_E_INVALID);
    assert_int_equal(tern_client_subscribe_all(r.client, NULL, NULL), TERN_E_INVALID);
    assert_int_equal(tern_subscription_set_identifier(none, 268435456), TERN_E_INVALID);
    tern_subscription_free(none);
    long_filter[65535] = '\0';
    assert_int_equal(tern_client_subscribe_wait(r.client, long_filter, 0, PATIENCE), 0);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_filter_has_its_code),
        cmocka_unit_test(each_refusal_is_told),
        cmocka_unit_test(one_of_several_is_refused),
        cmocka_unit_test(what_the_server_cannot_do),
        cmocka_unit_test(a_wait_that_times_out_keeps_the_wish),
        cmocka_unit_test(a_link_lost_before_the_answer),
        cmocka_unit_test(wishes_wait_for_a_connection),
        cmocka_unit_test(unsubscribing_ends_the_wish),
        cmocka_unit_test(a_filter_is_one_wish),
        cmocka_unit_test(wishes_come_before_the_backlog),
        cmocka_unit_test(options_on_the_wire),
        cmocka_unit_test(properties_on_the_wire),
        cmocka_unit_test(bad_filters_have_their_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
