/* Pools: who publishes what, topics that stay in order and move when they may, starts, ends, and outcomes.
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/tern.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "codec/decode.h"
#include "support/mock_broker.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS, MEMBERS = 3, TOPICS = 24, THREADS = 4, EACH = 1500, FILTERS = 16 };

/* ---- a broker that turns some clients away, and notes what is subscribed ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char turned_away[16]; /* client id; "" nobody */
static char filters[FILTERS][64];
static size_t filter_count;

static bool on_packet(mock_broker *broker, mock_peer *peer, const tern__packet *packet, void *user_data)
{
    bool done = false;
    (void)broker;
    (void)user_data;
    pthread_mutex_lock(&lock);
    if (packet->type == TERN__CONNECT) {
        tern__view id = packet->u.connect.client_id;
        done = turned_away[0] != '\0' && id.len == strlen(turned_away) && memcmp(id.data, turned_away, id.len) == 0;
        if (done) mock_hang_up(peer);
    } else if (packet->type == TERN__SUBSCRIBE) {
        tern__view rest = packet->u.subscribe.filters;
        tern__view filter;
        while (filter_count < FILTERS && tern__filters_next(&rest, true, &filter, NULL))
            snprintf(filters[filter_count++], sizeof filters[0], "%.*s", (int)filter.len, (const char *)filter.data);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

static void turn_away(const char *id)
{
    pthread_mutex_lock(&lock);
    snprintf(turned_away, sizeof turned_away, "%s", id);
    pthread_mutex_unlock(&lock);
}

static size_t subscribed(void)
{
    pthread_mutex_lock(&lock);
    size_t count = filter_count;
    pthread_mutex_unlock(&lock);
    return count;
}

/* ---- a pool ---- */

static mock_broker *broker;
static tern_pool *pool;
static tern_pool_options *options;

static tern_connection_options *quick_retries(void)
{
    tern_connection_options *connection;
    assert_int_equal(tern_connection_options_new(&connection), 0);
    assert_int_equal(tern_connection_options_add_server(connection, mock_broker_url(broker)), 0);
    assert_int_equal(tern_connection_options_set_retry_delay(connection, 1, 20, TERN_JITTER_PROPORTIONAL), 0);
    assert_int_equal(tern_connection_options_set_version(connection, TERN_VERSION_5), 0);
    assert_int_equal(tern_connection_options_set_session(connection, TERN_SESSION_PERSISTENT, 3600), 0);
    return connection;
}

/* Options for three members at a good broker; unhealthy at once. */
static void prepare(void)
{
    broker = mock_broker_new();
    assert_non_null(broker);
    mock_broker_set_script(broker, on_packet, NULL);
    turn_away("");
    filter_count = 0;
    assert_int_equal(tern_pool_options_new(&options), 0);
    assert_int_equal(tern_pool_options_set_members(options, MEMBERS), 0);
    assert_int_equal(tern_pool_options_set_client_id_prefix(options, "p"), 0);
    assert_int_equal(tern_pool_options_set_failover(options, 0, 0), 0);
}

static void start(void)
{
    tern_connection_options *connection = quick_retries();
    assert_int_equal(tern_pool_new(&pool, options, NULL, connection), 0);
    tern_connection_options_free(connection);
    assert_int_equal(tern_pool_start(pool), 0);
    assert_int_equal(tern_pool_wait_connected(pool, MEMBERS, PATIENCE), 0);
    assert_int_equal(tern_pool_connected(pool), MEMBERS);
}

static void finish(void)
{
    tern_pool_free(pool);
    pool = NULL;
    tern_pool_options_free(options);
    mock_broker_free(broker);
}

static const char *topic_of(unsigned n)
{
    static char texts[TOPICS][16];
    snprintf(texts[n % TOPICS], sizeof texts[0], "topic/%u", n);
    return texts[n % TOPICS];
}

static size_t publish(unsigned topic, const char *text, uint32_t flags)
{
    uint64_t id = 0;
    assert_int_equal(tern_pool_publish(pool, topic_of(topic), text, strlen(text), flags, &id), 0);
    assert_int_not_equal(id, 0);
    assert_in_range(tern_pool_member_of(id), 0, MEMBERS - 1);
    return tern_pool_member_of(id);
}

/* ---- tests ---- */

/* The same topic, the same member; many topics, all members. */
static void topics_have_their_members(void **state)
{
    (void)state;
    bool used[MEMBERS] = {false};
    prepare();
    start();
    for (unsigned n = 0; n < TOPICS; n++) {
        size_t member = publish(n, "1", TERN_QOS_1);
        used[member] = true;
        for (int again = 0; again < 3; again++) assert_int_equal(publish(n, "2", TERN_QOS_0), member);
    }
    for (size_t i = 0; i < MEMBERS; i++) assert_true(used[i]);
    assert_int_equal(tern_pool_flush_wait(pool, PATIENCE), 0);
    uint64_t published = 0;
    assert_int_equal(tern_pool_stat(pool, "messages_published", &published), 0);
    assert_int_equal(published, 4 * TOPICS);
    finish();
}

static bool only_others_connected(void *argument)
{
    return tern_client_connected(tern_pool_member(pool, *(size_t *)argument)) == 0 && tern_pool_connected(pool) == MEMBERS - 1;
}

/* Cuts all, and lets all but one come back. */
static void lose_member(size_t member)
{
    char id[16];
    snprintf(id, sizeof id, "p-%zu", member);
    turn_away(id);
    mock_broker_cut(broker);
    assert_true(net_wait_until(only_others_connected, &member, PATIENCE));
}

static void regain_member(void)
{
    turn_away("");
    assert_int_equal(tern_pool_wait_connected(pool, MEMBERS, PATIENCE), 0);
}

static unsigned topic_at(size_t member)
{
    for (unsigned n = 0; n < TOPICS; n++)
        if (publish(n, "where", TERN_QOS_1) == member) return n;
    fail_msg("no topic is with member %zu", member);
    return 0;
}

typedef struct wish {
    unsigned topic;
    size_t member;
} wish;

/* Asks until the topic is with that member (or anywhere else than it, with TOPICS added). */
static bool is_with(void *argument)
{
    const wish *w = argument;
    bool elsewhere = w->topic >= TOPICS;
    return (publish(w->topic % TOPICS, "moved?", TERN_QOS_1) == w->member) != elsewhere;
}

/* A topic of which nothing is open moves from a member without a connection, and comes home; the others stay. */
static void settled_topics_move_and_come_home(void **state)
{
    (void)state;
    size_t home[TOPICS];
    prepare();
    start();
    for (unsigned n = 0; n < TOPICS; n++) home[n] = publish(n, "1", TERN_QOS_1);
    assert_int_equal(tern_pool_flush_wait(pool, PATIENCE), 0);
    lose_member(1);
    for (unsigned n = 0; n < TOPICS; n++) {
        if (home[n] != 1) {
            assert_int_equal(publish(n, "2", TERN_QOS_1), home[n]);
        } else {
            assert_true(net_wait_until(is_with, &(wish){n + TOPICS, 1}, PATIENCE)); /* what is told lags a little */
        }
    }
    regain_member();
    for (unsigned n = 0; n < TOPICS; n++) assert_true(net_wait_until(is_with, &(wish){n, home[n]}, PATIENCE));
    assert_int_equal(tern_pool_flush_wait(pool, PATIENCE), 0);
    finish();
}

/* What is without an outcome holds its topic; with move_early it does not. */
static void open_messages_hold_their_topic(void **state)
{
    (void)state;
    for (int early = 0; early < 2; early++) {
        prepare();
        assert_int_equal(tern_pool_options_set_failover(options, 0, early), 0);
        start();
        unsigned held = topic_at(2);
        assert_int_equal(tern_pool_flush_wait(pool, PATIENCE), 0);
        mock_broker_set_rules(broker, &(mock_rules){.no_acks = true});
        assert_int_equal(publish(held, "open", TERN_QOS_1), 2);
        lose_member(2);
        for (int again = 0; again < 20; again++) assert_int_equal(publish(held, "next", TERN_QOS_1) == 2, !early);
        mock_broker_set_rules(broker, &(mock_rules){0});
        mock_broker_cut(broker); /* what was not answered goes out again */
        regain_member();
        assert_int_equal(tern_pool_flush_wait(pool, PATIENCE), 0);
        finish();
    }
}

/* ---- order and outcomes under load ---- */

typedef struct ledger {
    pthread_mutex_t lock;
    uint64_t told;
    uint64_t bad;
    uint8_t *times[MEMBERS]; /* by the member's id */
} ledger;

static ledger book;

static void on_delivery(tern_pool *from, uint64_t first_id, uint64_t last_id, tern_outcome outcome, tern_cause cause,
                        int reason_code, void *user_data)
{
    ledger *b = user_data;
    (void)cause;
    (void)reason_code;
    pthread_mutex_lock(&b->lock);
    if (from != pool || (outcome != TERN_OUTCOME_DELIVERED && outcome != TERN_OUTCOME_SENT)) b->bad++;
    for (uint64_t id = first_id; id <= last_id; id++) {
        uint64_t own = id & ((UINT64_C(1) << 48) - 1);
        if (own > THREADS * EACH || b->times[tern_pool_member_of(id)][own]++ != 0) b->bad++;
        b->told++;
    }
    pthread_mutex_unlock(&b->lock);
}

/* Each thread has topics of its own and counts on them. */
static void *rush(void *argument)
{
    unsigned thread = (unsigned)(uintptr_t)argument;
    char topic[32];
    char text[16];
    for (unsigned n = 0; n < EACH; n++) {
        snprintf(topic, sizeof topic, "rush/%u/%u", thread, n % 5);
        snprintf(text, sizeof text, "%u", n);
        if (tern_pool_publish(pool, topic, text, strlen(text), TERN_QOS_1, NULL) != 0) return argument;
    }
    return NULL;
}

static bool all_told(void *argument)
{
    ledger *b = argument;
    pthread_mutex_lock(&b->lock);
    bool all = b->told == THREADS * EACH;
    pthread_mutex_unlock(&b->lock);
    return all;
}

/* First copies of each topic's messages, of many threads, while connections break and members are lost: in order, none missing; and
 * each message has one outcome. [C1] [C8] */
static void a_topic_keeps_its_order(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    prepare();
    start();
    memset(&book, 0, sizeof book);
    pthread_mutex_init(&book.lock, NULL);
    for (size_t i = 0; i < MEMBERS; i++) book.times[i] = calloc(THREADS * EACH + 1, 1);
    assert_int_equal(tern_pool_set_delivery_handler(pool, on_delivery, &book), 0);
    for (uintptr_t t = 0; t < THREADS; t++) assert_int_equal(pthread_create(&threads[t], NULL, rush, (void *)t), 0);
    for (size_t i = 0; i < 2 * MEMBERS; i++) {
        lose_member(i % MEMBERS);
        regain_member();
    }
    void *failed;
    for (size_t t = 0; t < THREADS; t++) {
        pthread_join(threads[t], &failed);
        assert_null(failed);
    }
    assert_int_equal(tern_pool_flush_wait(pool, PATIENCE), 0);
    assert_true(net_wait_until(all_told, &book, PATIENCE));
    assert_int_equal(book.bad, 0);
    static unsigned next[THREADS][5];
    memset(next, 0, sizeof next);
    for (size_t i = 0; i < mock_broker_messages(broker); i++) {
        char text[80];
        unsigned thread;
        unsigned topic;
        unsigned n;
        char rest[8];
        assert_true(mock_broker_message(broker, i, text, sizeof text));
        assert_int_equal(sscanf(text, "rush/%u/%u=%u/%7s", &thread, &topic, &n, rest), 4);
        unsigned *wanted = &next[thread][topic];
        if (n >= *wanted) { /* a first copy; what is smaller is a repeat */
            assert_int_equal(n, *wanted == 0 ? topic : *wanted);
            *wanted = n + 5;
        }
    }
    for (size_t t = 0; t < THREADS; t++)
        for (size_t i = 0; i < 5; i++) assert_int_equal(next[t][i], EACH + i);
    for (size_t i = 0; i < MEMBERS; i++) free(book.times[i]);
    finish();
    pthread_mutex_destroy(&book.lock);
}

/* ---- the other policies ---- */

static void members_take_turns(void **state)
{
    (void)state;
    unsigned used[MEMBERS] = {0};
    prepare();
    assert_int_equal(tern_pool_options_set_policy(options, TERN_POOL_ROUND_ROBIN), 0);
    start();
    for (unsigned n = 0; n < 30; n++) used[publish(0, "x", TERN_QOS_1)]++;
    for (size_t i = 0; i < MEMBERS; i++) assert_int_equal(used[i], 10);
    lose_member(0); /* who is not connected is passed over */
    for (unsigned n = 0; n < 30; n++) assert_int_not_equal(publish(0, "x", TERN_QOS_1), 0);
    regain_member();
    assert_int_equal(tern_pool_flush_wait(pool, PATIENCE), 0);
    finish();
}

static void the_least_burdened_publishes(void **state)
{
    (void)state;
    unsigned used[MEMBERS] = {0};
    prepare();
    assert_int_equal(tern_pool_options_set_policy(options, TERN_POOL_LEAST_OUTSTANDING), 0);
    start();
    mock_broker_set_rules(broker, &(mock_rules){.no_acks = true});
    for (unsigned n = 0; n < 30; n++) used[publish(0, "x", TERN_QOS_1)]++;
    for (size_t i = 0; i < MEMBERS; i++) assert_int_equal(used[i], 10); /* each message makes its member the more burdened one */
    mock_broker_set_rules(broker, &(mock_rules){0});
    mock_broker_cut(broker);
    assert_int_equal(tern_pool_flush_wait(pool, PATIENCE), 0);
    finish();
}

/* ---- subscriptions ---- */

static atomic_uint received;

static void on_message(tern_client *client, const tern_message *message, void *user_data)
{
    (void)client;
    (void)message;
    (void)user_data;
    atomic_fetch_add(&received, 1);
    assert_int_equal(tern_pool_wait_connected(pool, 1, PATIENCE), TERN_E_WOULD_DEADLOCK);
    assert_int_equal(tern_pool_close_wait(pool, PATIENCE), TERN_E_WOULD_DEADLOCK);
}

static bool has_received(void *argument)
{
    return atomic_load(&received) >= *(unsigned *)argument;
}

static void subscriptions_go_to_one_or_all(void **state)
{
    (void)state;
    unsigned one = 1;
    prepare();
    start();
    atomic_store(&received, 0);
    assert_int_equal(tern_pool_set_filter_handler(pool, "a/#", on_message, NULL), 0);
    assert_int_equal(tern_pool_subscribe_wait(pool, "a/b", TERN_QOS_1, NULL, PATIENCE), 0);
    assert_int_equal(subscribed(), 1);
    assert_string_equal(filters[0], "a/b");
    mock_broker_publish(broker, "a/b", "x", 1, 1);
    assert_true(net_wait_until(has_received, &one, PATIENCE));
    assert_int_equal(tern_pool_subscribe_wait(pool, "c/+", TERN_QOS_1, "workers", PATIENCE), 0);
    assert_int_equal(subscribed(), 1 + MEMBERS);
    for (size_t i = 1; i <= MEMBERS; i++) assert_string_equal(filters[i], "$share/workers/c/+");
    static const char *const bad[] = {"", "a/b", "a+", "#"};
    for (size_t i = 0; i < 4; i++) assert_int_equal(tern_pool_subscribe(pool, "d", TERN_QOS_1, bad[i]), TERN_E_INVALID);
    assert_int_equal(tern_pool_subscribe_wait(pool, "d/#/e", TERN_QOS_1, NULL, PATIENCE), TERN_E_FILTER);
    char text[400];
    assert_int_equal(tern_pool_copy_error_text(pool, text, sizeof text), TERN_E_FILTER);
    assert_non_null(strstr(text, "d/#/e"));
    mock_broker_set_rules(broker, &(mock_rules){.suback = 0x87});
    assert_int_equal(tern_pool_subscribe_wait(pool, "e", TERN_QOS_1, "workers", PATIENCE), TERN_E_REFUSED);
    mock_broker_set_rules(broker, &(mock_rules){0});
    assert_int_equal(tern_pool_unsubscribe(pool, "a/b", NULL), 0);
    assert_int_equal(tern_pool_unsubscribe(pool, "c/+", "workers"), 0);
    assert_true(mock_broker_wait(broker, TERN__UNSUBSCRIBE, 1 + MEMBERS, PATIENCE));
    finish();
}

/* ---- life ---- */

static void waiting_tells_why_it_failed(void **state)
{
    (void)state;
    char text[400];
    tern_connection_options *connection;
    prepare();
    connection = quick_retries();
    assert_int_equal(tern_pool_new(&pool, options, NULL, connection), 0);
    assert_int_equal(tern_pool_wait_connected(pool, 0, 0), 0);
    assert_int_equal(tern_pool_wait_connected(pool, 1, 1), TERN_E_TIMEOUT);
    (void)tern_pool_copy_error_text(pool, text, sizeof text);
    assert_string_equal(text, "0 of 3 members are connected after 1 ms");
    assert_int_equal(tern_pool_wait_connected(pool, MEMBERS + 1, 1), TERN_E_INVALID);
    turn_away("p-1"); /* for the first, others are enough */
    assert_int_equal(tern_pool_start(pool), 0);
    assert_int_equal(tern_pool_start(pool), 0);
    assert_int_equal(tern_pool_wait_connected(pool, 2, PATIENCE), 0);
    assert_int_equal(tern_pool_wait_connected(pool, 3, 50), TERN_E_TIMEOUT);
    mock_broker_set_rules(broker, &(mock_rules){.refuse = 0x87});
    turn_away("");
    mock_broker_cut(broker);
    assert_int_equal(tern_pool_wait_connected(pool, 3, PATIENCE), TERN_E_REFUSED);
    (void)tern_pool_copy_error_text(pool, text, sizeof text);
    assert_non_null(strstr(text, "member "));
    assert_non_null(strstr(text, "Not authorized"));
    mock_broker_set_rules(broker, &(mock_rules){0});
    while (tern_pool_wait_connected(pool, 3, 200) != 0) assert_int_equal(tern_pool_start(pool), 0); /* once the last has stopped */
    tern_connection_options_free(connection);
    finish();
}

static atomic_uint events[16];

static void on_event(tern_pool *from, size_t member, const tern_event *event, void *user_data)
{
    (void)user_data;
    assert_ptr_equal(from, pool);
    assert_in_range(member, 0, MEMBERS - 1);
    atomic_fetch_add(&events[tern_event_get_kind(event)], 1);
}

static void closing_drains_every_member(void **state)
{
    (void)state;
    tern_token *tokens[TOPICS];
    prepare();
    tern_connection_options *connection = quick_retries();
    assert_int_equal(tern_pool_new(&pool, options, NULL, connection), 0);
    tern_connection_options_free(connection);
    memset(events, 0, sizeof events);
    assert_int_equal(tern_pool_set_event_handler(pool, on_event, NULL), 0);
    assert_int_equal(tern_pool_start(pool), 0);
    for (unsigned n = 0; n < TOPICS; n++)
        assert_int_equal(tern_pool_publish_token(pool, topic_of(n), "x", 1, n % 3, &tokens[n]), 0);
    tern_message *message;
    uint64_t id = 0;
    assert_int_equal(tern_message_new(&message, "m", "x", 1, TERN_QOS_1), 0);
    assert_int_equal(tern_pool_publish_message(pool, message, &id, NULL), 0);
    assert_int_not_equal(id, 0);
    tern_message_unref(message);
    assert_int_equal(tern_pool_close_wait(pool, PATIENCE), 0);
    for (unsigned n = 0; n < TOPICS; n++) {
        assert_int_equal(tern_token_error(tokens[n]), 0);
        tern_token_unref(tokens[n]);
    }
    assert_int_equal(mock_broker_messages(broker), TOPICS + 1);
    assert_int_equal(atomic_load(&events[TERN_EVENT_CONNECTED]), MEMBERS);
    assert_int_equal(tern_pool_publish(pool, "t", "x", 1, 0, NULL), TERN_E_CLOSED);
    assert_int_equal(tern_pool_publish_wait(pool, "t", "x", 1, 0, PATIENCE), TERN_E_CLOSED);
    assert_int_equal(tern_pool_start(pool), TERN_E_CLOSED);
    assert_int_equal(tern_pool_set_event_handler(pool, NULL, NULL), TERN_E_CLOSED);
    finish();
}

static void wrong_arguments_are_refused(void **state)
{
    (void)state;
    prepare();
    assert_int_equal(tern_pool_options_set_members(options, 0), TERN_E_INVALID);
    assert_int_equal(tern_pool_options_set_members(options, 257), TERN_E_INVALID);
    assert_int_equal(tern_pool_options_set_policy(options, (tern_pool_policy)3), TERN_E_INVALID);
    assert_int_equal(tern_pool_options_set_client_id_prefix(options, "\xff"), TERN_E_UTF8);
    assert_int_equal(tern_pool_options_set_loop(NULL, NULL), TERN_E_INVALID);
    assert_int_equal(tern_pool_new(&pool, options, NULL, NULL), TERN_E_INVALID);
    assert_null(pool);
    tern_connection_options *empty;
    assert_int_equal(tern_connection_options_new(&empty), 0);
    assert_int_equal(tern_pool_new(&pool, options, NULL, empty), TERN_E_INVALID); /* no server */
    assert_null(pool);
    tern_connection_options_free(empty);
    start();
    assert_int_equal(tern_pool_publish(pool, NULL, "x", 1, 0, NULL), TERN_E_INVALID);
    assert_int_equal(tern_pool_publish(pool, "a/#", "x", 1, 0, NULL), TERN_E_TOPIC);
    assert_int_equal(tern_pool_publish(NULL, "a", "x", 1, 0, NULL), TERN_E_INVALID);
    assert_null(tern_pool_member(pool, MEMBERS));
    assert_int_equal(tern_pool_members(NULL), 0);
    uint64_t value = 1;
    assert_int_equal(tern_pool_stat(pool, "no such", &value), TERN_E_NOT_FOUND);
    assert_int_equal(value, 0);
    tern_pool_free(NULL);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_have_their_members),      cmocka_unit_test(settled_topics_move_and_come_home),
        cmocka_unit_test(open_messages_hold_their_topic), cmocka_unit_test(a_topic_keeps_its_order),
        cmocka_unit_test(members_take_turns),             cmocka_unit_test(the_least_burdened_publishes),
        cmocka_unit_test(subscriptions_go_to_one_or_all), cmocka_unit_test(waiting_tells_why_it_failed),
        cmocka_unit_test(closing_drains_every_member),    cmocka_unit_test(wrong_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
