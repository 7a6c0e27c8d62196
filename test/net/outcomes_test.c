/* What becomes of each message: answers, lost connections and sessions, expiry, refused calls.
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tern/tern.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "codec/props.h"
#include "net/rig.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS, MANY = 600, BIG = 16 << 20 };

static rig r;

/* ---- outcomes that the delivery handler was told ---- */

typedef struct told {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t total;
    unsigned bad_ranges;
    unsigned times[MANY + 1]; /* by id */
    tern_outcome outcomes[MANY + 1];
    tern_cause causes[MANY + 1];
    int reasons[MANY + 1];
} told;

static told t;

static void on_delivery(tern_client *client, const tern_delivery *delivery, void *user_data)
{
    (void)client;
    told *all = user_data;
    uint64_t first = tern_delivery_first_id(delivery);
    uint64_t last = tern_delivery_last_id(delivery);
    pthread_mutex_lock(&all->lock);
    if (first == 0 || last < first || last > MANY ||
        tern_delivery_count(delivery) != last - first + 1) {
        all->bad_ranges++;
        last = 0;
    }
    for (uint64_t id = first; id <= last; id++) {
        all->times[id]++;
        all->outcomes[id] = tern_delivery_outcome(delivery);
        all->causes[id] = tern_delivery_cause(delivery);
        all->reasons[id] = tern_delivery_reason_code(delivery);
        all->total++;
    }
    pthread_cond_broadcast(&all->changed);
    pthread_mutex_unlock(&all->lock);
}

static void told_start(void)
{
    memset(&t, 0, sizeof t);
    pthread_mutex_init(&t.lock, NULL);
    pthread_cond_init(&t.changed, NULL);
    assert_int_equal(tern_client_set_delivery_handler(r.client, on_delivery, &t), 0);
}

static void told_wait(uint64_t total)
{
    struct timespec until;
    int rc = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE / 1000;
    pthread_mutex_lock(&t.lock);
    while (t.total < total && rc == 0) rc = pthread_cond_timedwait(&t.changed, &t.lock, &until);
    assert_true(t.total >= total);
    assert_int_equal(t.bad_ranges, 0);
    pthread_mutex_unlock(&t.lock);
}

static void told_end(void)
{
    tern_client_free(r.client); /* no callback comes any more */
    r.client = NULL;
    watch_deinit(&r.watch);
    pthread_cond_destroy(&t.changed);
    pthread_mutex_destroy(&t.lock);
}

/* ---- outcomes ---- */

typedef struct answer {
    uint8_t reason;
    char text[32];
} answer;

/* Answers each PUBLISH with a reason and a reason string. */
static bool answer_so(mock_broker *broker, mock_peer *peer, const tern__packet *packet,
                      void *user_data)
{
    (void)broker;
    const answer *with = user_data;
    const tern__publish_packet *publish = &packet->u.publish;
    if (packet->type != TERN__PUBLISH || publish->qos == 0) return false;
    tern__buf props = {0};
    if (tern__props_add_text(&props, TERN__PROP_REASON_STRING, with->text, strlen(with->text)) != 0)
        abort();
    tern__packet ack = {.type = publish->qos == 1 ? TERN__PUBACK : TERN__PUBREC,
                        .props = {props.data, props.len, 0},
                        .u.ack = {publish->packet_id, with->reason}};
    mock_send(peer, &ack);
    tern__buf_deinit(&props);
    return true;
}

/* The code and text of each answer reach the token, the code the delivery handler. [MQTT5-4.3.3-4]
 * [MQTT5-4.4.0-2] */
static void expect_answer(uint8_t reason, uint32_t qos, uint64_t id)
{
    bool refused = reason >= 0x80;
    answer with = {.reason = reason};
    snprintf(with.text, sizeof with.text, "because %02x", reason);
    rig_script(&r, answer_so, &with);
    uint64_t rels = rig_packets(&r, TERN__PUBREL);
    tern_token *token = rig_publish(&r, "t", "x", qos);
    assert_int_equal(tern_token_wait(token, PATIENCE), refused ? TERN_E_REFUSED : 0);
    assert_int_equal(tern_token_reason_count(token), 1);
    assert_int_equal(tern_token_reason_code(token, 0), reason);
    assert_int_equal(tern_token_reason_code(token, 1), -1);
    assert_non_null(tern_token_reason_string(token));
    assert_string_equal(tern_token_reason_string(token), with.text);
    if (refused) assert_non_null(strstr(tern_token_error_text(token), tern_reason_text(reason)));
    rig_expect_outcome(token, refused ? TERN_OUTCOME_REFUSED : TERN_OUTCOME_DELIVERED,
                       TERN_CAUSE_NONE, refused ? TERN_E_REFUSED : 0);
    assert_int_equal(rig_packets(&r, TERN__PUBREL) - rels, qos == 2 && !refused);
    uint64_t told_id = 0;
    assert_int_equal(tern_client_publish(r.client, "t", "x", 1, qos, &told_id), 0);
    assert_int_equal(told_id, id);
    told_wait(id / 2);
    assert_int_equal(t.times[id], 1);
    assert_int_equal(t.outcomes[id], refused ? TERN_OUTCOME_REFUSED : TERN_OUTCOME_DELIVERED);
    assert_int_equal(t.causes[id], TERN_CAUSE_NONE);
    assert_int_equal(t.reasons[id], reason);
}

static void each_answer_is_told(void **state)
{
    (void)state;
    char line[256];
    uint64_t id = 0;
    FILE *file = fopen(TERN_TEST_DATA "/mqtt5_reason_codes.tsv", "r");
    assert_non_null(file);
    rig_init(&r, TERN_VERSION_5);
    rig_start(&r);
    told_start();
    while (fgets(line, sizeof line, file) != NULL) {
        char *end = NULL;
        unsigned long code = strtoul(line, &end, 16);
        if (end == line || *end != '\t') continue; /* the headings */
        if (strstr(end, "PUBACK") != NULL) expect_answer((uint8_t)code, TERN_QOS_1, id += 2);
        if (strstr(end, "PUBREC") != NULL) expect_answer((uint8_t)code, TERN_QOS_2, id += 2);
    }
    fclose(file);
    assert_int_equal(id / 2, 2 * 9); /* codes of PUBACK and PUBREC */
    told_end();
    for (uint64_t i = 1; i <= id; i++) assert_int_equal(t.times[i], i % 2 == 0); /* tokens apart */
    rig_free(&r);
}

/* Ranges cover each id once, whatever the mixture of QoS. [C1] */
static void ranges_cover_each_message_once(void **state)
{
    (void)state;
    static const tern_version versions[] = {TERN_VERSION_311, TERN_VERSION_5};
    for (size_t v = 0; v < 2; v++) {
        rig_init(&r, versions[v]);
        rig_client(&r);
        told_start();
        for (uint64_t i = 1; i <= MANY; i++) {
            uint64_t id = 0;
            if (i == MANY / 2) rig_connect(&r); /* half of them offline */
            uint32_t qos = i <= MANY / 4 ? TERN_QOS_0 : (uint32_t)(i % 3);
            assert_int_equal(tern_client_publish(r.client, "t", "x", 1, qos, &id), 0);
            assert_int_equal(id, i);
        }
        told_wait(MANY);
        told_end();
        assert_int_equal(t.total, MANY);
        for (uint64_t i = 1; i <= MANY; i++) {
            bool sent = i <= MANY / 4 || i % 3 == 0;
            assert_int_equal(t.times[i], 1);
            assert_int_equal(t.outcomes[i], sent ? TERN_OUTCOME_SENT : TERN_OUTCOME_DELIVERED);
            assert_int_equal(t.reasons[i], sent ? -1 : 0);
        }
        rig_free(&r);
    }
}

/* ---- lost connections ---- */

static bool bytes_went_out(void *argument)
{
    uint64_t sent = 0;
    (void)argument;
    return tern_client_stat(r.client, "bytes_sent", &sent) == 0 && sent > 100000;
}

/* The link breaks in the middle of a packet that the broker never gets whole. [C2] [C5] */
static void a_message_that_was_cut(void **state)
{
    (void)state;
    char *big = calloc(1, BIG);
    assert_non_null(big);
    for (uint32_t qos = 0; qos <= 1; qos++) {
        tern_token *token = NULL;
        rig_init(&r, TERN_VERSION_5);
        rig_start(&r);
        rig_rules(&r, (mock_rules){.deaf = true});
        assert_int_equal(tern_client_publish_token(r.client, "big", big, BIG, qos, &token), 0);
        tern_token *behind = rig_publish(&r, "behind", "0", TERN_QOS_0);
        tern_token *last = rig_publish(&r, "behind", "1", TERN_QOS_1);
        assert_true(net_wait_until(bytes_went_out, NULL, PATIENCE));
        rig_cut(&r);
        rig_rules(&r, (mock_rules){0});
        if (qos == 0) {
            rig_expect_outcome(token, TERN_OUTCOME_UNKNOWN, TERN_CAUSE_CONNECTION_LOST,
                               TERN_E_CONNECTION_LOST);
        } else {
            rig_expect_outcome(token, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
        }
        rig_expect_outcome(behind, TERN_OUTCOME_SENT, TERN_CAUSE_NONE, 0);
        rig_expect_outcome(last, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
        assert_int_equal(rig_packets(&r, TERN__PUBLISH), 2 + qos);
        if (qos == 1) /* some of it had left */
            assert_true(rig_packet(&r, TERN__PUBLISH, 0).u.publish.dup);
        rig_expect_message(&r, qos, "behind=0/0");
        rig_expect_message(&r, qos + 1, "behind=1/1"); /* not begun: no DUP [MQTT5-3.3.1-1] */
        rig_free(&r);
    }
    free(big);
}

/* Sent, unanswered, and the broker forgets the session: QoS 1 again as new and first, QoS 2 is in
 * doubt. [C7] */
static void a_session_that_was_lost(void **state)
{
    (void)state;
    static const tern_version versions[] = {TERN_VERSION_311, TERN_VERSION_5};
    for (size_t v = 0; v < 2; v++) {
        rig_init(&r, versions[v]);
        rig_rules(&r, (mock_rules){.no_acks = true});
        rig_start(&r);
        tern_token *one = rig_publish(&r, "t", "a", TERN_QOS_1);
        tern_token *two = rig_publish(&r, "t", "b", TERN_QOS_2);
        assert_true(mock_broker_wait(r.broker, TERN__PUBLISH, 2, PATIENCE));
        mock_broker_listen(r.broker, false);
        rig_cut(&r);
        tern_token *newer = rig_publish(&r, "t", "c", TERN_QOS_1);
        rig_rules(&r, (mock_rules){.forget = true});
        mock_broker_listen(r.broker, true);
        rig_expect_outcome(one, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
        rig_expect_outcome(two, TERN_OUTCOME_UNKNOWN, TERN_CAUSE_SESSION_LOST,
                           TERN_E_CONNECTION_LOST);
        rig_expect_outcome(newer, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
        rig_expect_message(&r, 2, "t=a/1"); /* as new: no DUP */
        rig_expect_message(&r, 3, "t=c/1");
        assert_int_equal(mock_broker_messages(r.broker), 4);
        rig_free(&r);
    }
}

/* Resumed: again under the old ids, with DUP, and never while the link is up. [C6] [MQTT5-4.4.0-1]
 * [MQTT5-3.3.1-1] [MQTT311-4.4.0-1] [MQTT311-3.3.1-1] */
static void a_session_that_is_resumed(void **state)
{
    (void)state;
    static const tern_version versions[] = {TERN_VERSION_311, TERN_VERSION_5};
    for (size_t v = 0; v < 2; v++) {
        rig_init(&r, versions[v]);
        rig_rules(&r, (mock_rules){.no_acks = true});
        rig_start(&r);
        tern_token *one = rig_publish(&r, "t", "a", TERN_QOS_1);
        tern_token *two = rig_publish(&r, "t", "b", TERN_QOS_2);
        assert_true(mock_broker_wait(r.broker, TERN__PUBLISH, 2, PATIENCE));
        rig_rules(&r, (mock_rules){0});
        rig_cut(&r);
        rig_expect_outcome(one, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
        rig_expect_outcome(two, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
        assert_int_equal(rig_packets(&r, TERN__PUBLISH), 4);
        for (size_t i = 0; i < 2; i++) {
            tern__publish_packet first = rig_packet(&r, TERN__PUBLISH, i).u.publish;
            tern__publish_packet again = rig_packet(&r, TERN__PUBLISH, 2 + i).u.publish;
            assert_int_equal(first.packet_id, again.packet_id);
            assert_false(first.dup);
            assert_true(again.dup);
            assert_true(first.payload.data[0] == again.payload.data[0]);
        }
        rig_free(&r);
    }
}

/* ---- expiry ---- */

/* While one message's second passes, the other's interval shrinks; the third has none. */
static void expiry_counts_while_waiting(void **state)
{
    (void)state;
    rig_init(&r, TERN_VERSION_5);
    rig_client(&r);
    tern_message *brief = rig_message("e", "brief", TERN_QOS_1);
    tern_message *patient = rig_message("e", "patient", TERN_QOS_1);
    assert_int_equal(tern_message_set_expiry(brief, 1), 0);
    assert_int_equal(tern_message_set_expiry(patient, 1000), 0);
    tern_token *late = rig_publish_message(&r, brief);
    tern_token *waits = rig_publish_message(&r, patient);
    tern_token *forever = rig_publish(&r, "e", "plain", TERN_QOS_1);
    rig_expect_outcome(late, TERN_OUTCOME_NOT_SENT, TERN_CAUSE_EXPIRED, TERN_E_EXPIRED);
    rig_connect(&r);
    rig_expect_outcome(waits, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
    rig_expect_outcome(forever, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
    tern__packet got = rig_packet(&r, TERN__PUBLISH, 0);
    assert_true(view_is(got.u.publish.payload, "patient"));
    assert_in_range(tern__props_number(&got.props, TERN__PROP_MESSAGE_EXPIRY, 0), 900, 999);
    got = rig_packet(&r, TERN__PUBLISH, 1);
    assert_false(tern__props_has(&got.props, TERN__PROP_MESSAGE_EXPIRY));
    assert_int_equal(rig_packets(&r, TERN__PUBLISH), 2);
    rig_free(&r);
}

/* What was sent does not expire any more, and is sent again where need be. [MQTT5-4.3.3-7] */
static void what_was_sent_does_not_expire(void **state)
{
    (void)state;
    rig_init(&r, TERN_VERSION_5);
    rig_rules(&r, (mock_rules){.no_acks = true});
    rig_start(&r);
    tern_message *one = rig_message("e", "sent", TERN_QOS_2);
    assert_int_equal(tern_message_set_expiry(one, 1), 0);
    tern_token *token = rig_publish_message(&r, one);
    assert_true(mock_broker_wait(r.broker, TERN__PUBLISH, 1, PATIENCE));
    mock_broker_listen(r.broker, false);
    rig_cut(&r);
    one = rig_message("e", "late", TERN_QOS_0); /* tells that a second has passed */
    assert_int_equal(tern_message_set_expiry(one, 1), 0);
    rig_expect_outcome(rig_publish_message(&r, one), TERN_OUTCOME_NOT_SENT, TERN_CAUSE_EXPIRED,
                       TERN_E_EXPIRED);
    rig_rules(&r, (mock_rules){0});
    mock_broker_listen(r.broker, true);
    rig_expect_outcome(token, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
    tern__packet again = rig_packet(&r, TERN__PUBLISH, 1);
    assert_true(again.u.publish.dup);
    assert_true(tern__props_number(&again.props, TERN__PROP_MESSAGE_EXPIRY, 0) >= 1);
    rig_free(&r);
}

/* ---- wrong arguments ---- */

typedef struct wrong {
    const char *topic;
    const char *payload;
    size_t length;
    uint32_t flags;
    int error;
} wrong;

static char long_topic[65536 + 1];

static const wrong wrongs[] = {
    {NULL, "x", 1, TERN_QOS_0, TERN_E_INVALID},
    {"", "x", 1, TERN_QOS_0, TERN_E_TOPIC}, /* [MQTT5-4.7.3-1] [MQTT311-4.7.3-1] */
    {"a/+", "x", 1, TERN_QOS_0, TERN_E_TOPIC}, /* [MQTT5-3.3.2-2] [MQTT311-3.3.2-2] */
    {"a/+/b", "x", 1, TERN_QOS_1, TERN_E_TOPIC},
    {"#", "x", 1, TERN_QOS_2, TERN_E_TOPIC}, /* [MQTT5-4.7.0-1] */
    {"a\xff", "x", 1, TERN_QOS_0, TERN_E_UTF8}, /* [MQTT5-3.3.2-1] [MQTT311-3.3.2-1] */
    {"\xed\xa0\x80", "x", 1, TERN_QOS_0, TERN_E_UTF8},
    {"a\xc0\x80", "x", 1, TERN_QOS_0, TERN_E_UTF8}, /* a NUL in disguise [MQTT5-4.7.3-2] */
    {long_topic, "x", 1, TERN_QOS_0, TERN_E_TOO_LARGE}, /* [MQTT5-4.7.3-3] [MQTT311-4.7.3-3] */
    {"a", NULL, 1, TERN_QOS_0, TERN_E_INVALID},
    {"a", "x", 1, 3, TERN_E_INVALID}, /* [MQTT5-3.3.1-4] [MQTT311-3.3.1-4] */
    {"a", "x", 1, 4, TERN_E_INVALID},
    {"a", "x", 1, TERN_QOS_1 | 0x1000, TERN_E_INVALID},
    {"a", "x", 1, 0x80000000u, TERN_E_INVALID},
    {"a", "x", 268435456, TERN_QOS_0, TERN_E_TOO_LARGE},
};

static void expect_wrong(const wrong *w)
{
    uint64_t id = 99;
    tern_token *token = (tern_token *)&id;
    tern_message *one = (tern_message *)&id;
    assert_int_equal(tern_client_publish(r.client, w->topic, w->payload, w->length, w->flags, &id),
                     w->error);
    assert_int_equal(id, 0);
    assert_int_equal(tern_client_publish_token(r.client, w->topic, w->payload, w->length, w->flags,
                                               &token),
                     w->error);
    assert_null(token);
    assert_int_equal(
        tern_client_publish_wait(r.client, w->topic, w->payload, w->length, w->flags, PATIENCE),
        w->error);
    assert_int_equal(tern_message_new(&one, w->topic, w->payload, w->length, w->flags), w->error);
    assert_null(one);
}

/* Each has its own error; none takes an id, has an outcome or reaches the broker. [C1] [C3] */
static void wrong_arguments_lose_nothing(void **state)
{
    (void)state;
    memset(long_topic, 'l', sizeof long_topic - 1);
    rig_init(&r, TERN_VERSION_5);
    rig_start(&r);
    told_start();
    uint64_t id = 0;
    tern_token *token = (tern_token *)&id;
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        expect_wrong(&wrongs[i]);
        assert_int_equal(tern_client_publish(r.client, "good", "x", 1, TERN_QOS_1, &id), 0);
        assert_int_equal(id, i + 1);
    }
    assert_int_equal(tern_client_publish(NULL, "a", "x", 1, 0, &id), TERN_E_INVALID);
    assert_int_equal(id, 0);
    assert_int_equal(tern_client_publish_token(r.client, "a", "x", 1, 0, NULL), TERN_E_INVALID);
    assert_int_equal(tern_client_publish_message(r.client, NULL, &id, &token), TERN_E_INVALID);
    assert_null(token);
    long_topic[65535] = '\0'; /* the longest that there is */
    assert_int_equal(tern_client_publish_wait(r.client, long_topic, NULL, 0, TERN_QOS_1, PATIENCE),
                     0);
    told_wait(sizeof wrongs / sizeof *wrongs);
    told_end();
    assert_int_equal(t.total, sizeof wrongs / sizeof *wrongs);
    assert_int_equal(mock_broker_messages(r.broker), sizeof wrongs / sizeof *wrongs + 1);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_answer_is_told),
        cmocka_unit_test(ranges_cover_each_message_once),
        cmocka_unit_test(a_message_that_was_cut),
        cmocka_unit_test(a_session_that_was_lost),
        cmocka_unit_test(a_session_that_is_resumed),
        cmocka_unit_test(expiry_counts_while_waiting),
        cmocka_unit_test(what_was_sent_does_not_expire),
        cmocka_unit_test(wrong_arguments_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
