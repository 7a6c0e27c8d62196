/* Subscribing: bytes, answers, and wishes that outlive connections. [C7] [C21]
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/script.h"

#include <stdlib.h>
#include <string.h>
#include <tern/error.h>
#include <tern/subscription.h>

enum { PENDING = -1000 };

static void ask(script *s, bool unsubscribe, const char *filters[], const uint32_t *flags, uint32_t identifier,
                tern__completion *completion)
{
    tern_subscription *wish;
    assert_int_equal(tern_subscription_new(&wish), 0);
    for (int i = 0; filters[i] != NULL; i++)
        assert_int_equal(tern_subscription_add(wish, filters[i], flags != NULL ? flags[i] : TERN_QOS_0), 0);
    if (identifier != 0) assert_int_equal(tern_subscription_set_identifier(wish, identifier), 0);
    if (completion != NULL) *completion = (tern__completion){.error = PENDING};
    assert_int_equal(unsubscribe ? tern__engine_unsubscribe(s->engine, wish, completion, s->now)
                                 : tern__engine_subscribe(s->engine, wish, completion, s->now), 0);
    tern_subscription_free(wish);
}

static void subscribe(script *s, const char *filter, tern__completion *completion)
{
    ask(s, false, (const char *[]){filter, NULL}, NULL, 0, completion);
}

static void answered(script *s, tern__completion *completion, int error, const char *codes, uint32_t count)
{
    script_ended(s, completion);
    assert_int_equal(completion->error, error);
    assert_int_equal(completion->code_count, count);
    if (count != 0) assert_memory_equal(completion->codes, codes, count);
    free(completion->codes);
    free(completion->reason_string);
}

/* [MQTT5-3.8.1-1] [MQTT5-3.8.3-1] [MQTT5-3.8.3-4] */
static void every_option_is_on_the_wire(void **state)
{
    (void)state;
    static const uint32_t flags[] = {TERN_QOS_1 | TERN_NO_LOCAL, TERN_QOS_2 | TERN_RETAIN_AS_PUBLISHED | TERN_RETAINED_NEVER,
                                     TERN_QOS_0 | TERN_RETAINED_IF_NEW};
    const char *filters[] = {"a/+", "b", "c/#", NULL};
    script s;
    tern__completion done;
    script_ready(&s, TERN__V5);
    ask(&s, false, filters, flags, 300, &done);
    script_expect(&s, "82 16 00 01 03 0B AC 02 00 03 'a/+' 05 00 01 'b' 2A 00 03 'c/#' 10");
    assert_int_equal(script_recv(&s, "90 0C 00 01 06 1F 00 03 'why' 01 02 00"), 0);
    script_ended(&s, &done);
    assert_int_equal(done.error, 0);
    assert_string_equal(done.reason_string, "why");
    assert_memory_equal(done.codes, "\1\2\0", 3);
    free(done.codes);
    free(done.reason_string);
    script_free(&s);
    script_ready(&s, TERN__V311); /* which knows but the QoS */
    ask(&s, false, filters, flags, 300, &done);
    script_expect(&s, "82 12 00 01 00 03 'a/+' 01 00 01 'b' 02 00 03 'c/#' 00");
    assert_int_equal(script_recv(&s, "90 05 00 01 01 80 00"), 0);
    answered(&s, &done, 0, "\1\x80\0", 3);
    script_free(&s);
}

/* [MQTT5-3.10.1-1] [MQTT5-3.10.3-1] */
static void unsubscribing_is_answered(void **state)
{
    (void)state;
    script s;
    tern__completion done;
    script_ready(&s, TERN__V5);
    ask(&s, true, (const char *[]){"a", "b", NULL}, NULL, 0, &done);
    script_expect(&s, "A2 09 00 01 00 00 01 'a' 00 01 'b'");
    assert_int_equal(script_recv(&s, "B0 05 00 01 00 00 11"), 0);
    answered(&s, &done, 0, "\0\x11", 2);
    script_free(&s);
    script_ready(&s, TERN__V311);
    ask(&s, true, (const char *[]){"a", NULL}, NULL, 0, &done);
    script_expect(&s, "A2 05 00 01 00 01 'a'");
    assert_int_equal(script_recv(&s, "B0 02 00 01"), 0);
    answered(&s, &done, 0, "", 0);
    script_free(&s);
}

/* Session present 0: what was granted is asked for again, in one packet, before the backlog; what was refused is not. [C7] */
static void wishes_are_renewed_when_the_session_is_lost(void **state)
{
    (void)state;
    script s;
    tern__completion done;
    script_ready(&s, TERN__V311);
    ask(&s, false, (const char *[]){"a", "no", NULL}, NULL, 0, &done);
    script_expect(&s, "82 0B 00 01 00 01 'a' 00 00 02 'no' 00");
    assert_int_equal(script_recv(&s, "90 04 00 01 00 80"), 0);
    answered(&s, &done, 0, "\0\x80", 2);
    subscribe(&s, "b", &done);
    script_expect(&s, "82 06 00 02 00 01 'b' 00");
    assert_int_equal(script_recv(&s, "90 03 00 02 00"), 0);
    answered(&s, &done, 0, "\0", 1);
    script_offline(&s);
    assert_int_equal(script_publish(&s, 0, "t", "x", NULL), 0);
    script_online(&s, "20 02 01 00"); /* it is still there: nothing is asked */
    script_expect(&s, "30 04 00 01 't' 'x'");
    script_offline(&s);
    assert_int_equal(script_publish(&s, 0, "t", "x", NULL), 0);
    script_online(&s, "20 02 00 00");
    script_expect(&s, "82 0A 00 03 00 01 'a' 00 00 01 'b' 00 30 04 00 01 't' 'x'");
    assert_int_equal(script_recv(&s, "90 04 00 03 00 80"), 0); /* b is refused now: never again */
    assert_null(tern__engine_next_completion(s.engine));
    script_offline(&s);
    script_online(&s, "20 02 00 00");
    script_expect(&s, "82 06 00 04 00 01 'a' 00");
    script_free(&s);
}

/* In MQTT 5 retained messages come again only where the subscription is new to the broker. */
static void renewing_asks_for_retained_messages_once(void **state)
{
    (void)state;
    script s;
    tern__completion done;
    static const uint32_t never = TERN_QOS_1 | TERN_RETAINED_NEVER;
    script_ready(&s, TERN__V5);
    subscribe(&s, "a", &done);
    script_expect(&s, "82 07 00 01 00 00 01 'a' 00");
    assert_int_equal(script_recv(&s, "90 04 00 01 00 00"), 0);
    answered(&s, &done, 0, "\0", 1);
    ask(&s, false, (const char *[]){"b", NULL}, &never, 9, &done);
    script_expect(&s, "82 09 00 02 02 0B 09 00 01 'b' 21");
    assert_int_equal(script_recv(&s, "90 04 00 02 00 01"), 0);
    answered(&s, &done, 0, "\1", 1);
    script_offline(&s);
    script_online(&s, NULL);
    script_expect(&s, "82 07 00 03 00 00 01 'a' 10 82 09 00 04 02 0B 09 00 01 'b' 21");
    script_free(&s);
}

/* A CONNECT that nobody answered may have begun a new session: then present 1 is no proof. [C7] */
static void wishes_are_renewed_in_doubt(void **state)
{
    (void)state;
    script s;
    tern__completion done;
    script_ready(&s, TERN__V311);
    subscribe(&s, "a", &done);
    script_expect(&s, "82 06 00 01 00 01 'a' 00");
    assert_int_equal(script_recv(&s, "90 03 00 01 00"), 0);
    answered(&s, &done, 0, "\0", 1);
    script_offline(&s);
    assert_int_equal(tern__engine_opened(s.engine, &s.connect, s.now), 0);
    script_drain(&s, SIZE_MAX);
    script_offline(&s); /* before any CONNACK */
    script_online(&s, "20 02 01 00");
    script_expect(&s, "82 06 00 02 00 01 'a' 00");
    script_free(&s);
}

/* A link lost before SUBACK: it is asked again, also of a session that is there. [C21] */
static void an_unanswered_subscription_is_sent_again(void **state)
{
    (void)state;
    script s;
    tern__completion done;
    script_init(&s, TERN__V311);
    script_start(&s);
    subscribe(&s, "a", &done); /* before the first connection */
    script_online(&s, NULL);
    script_expect(&s, "82 06 00 01 00 01 'a' 00");
    script_offline(&s);
    assert_int_equal(done.error, PENDING);
    script_online(&s, "20 02 01 00");
    script_expect(&s, "82 06 00 02 00 01 'a' 00");
    assert_int_equal(script_recv(&s, "90 03 00 02 00"), 0);
    answered(&s, &done, 0, "\0", 1);
    script_free(&s);
}

/* What was asked last is what holds at the end. */
static void the_last_request_wins(void **state)
{
    (void)state;
    script s;
    tern__completion first;
    tern__completion second;
    script_ready(&s, TERN__V311);
    subscribe(&s, "a", &first);
    ask(&s, true, (const char *[]){"a", NULL}, NULL, 0, &second);
    script_expect(&s, "82 06 00 01 00 01 'a' 00 A2 05 00 02 00 01 'a'");
    assert_int_equal(script_recv(&s, "90 03 00 01 00 B0 02 00 02"), 0);
    answered(&s, &first, 0, "\0", 1);
    answered(&s, &second, 0, "", 0);
    script_offline(&s);
    script_online(&s, "20 02 00 00");
    script_expect(&s, ""); /* nothing to renew */
    script_free(&s);
}

/* [MQTT5-3.8.4-6] [MQTT5-2.2.1-6] [MQTT5-3.11.3-1] */
static void wrong_answers_end_the_link(void **state)
{
    (void)state;
    static const struct {
        const char *hex;
        bool bad;
    } rows[] = {
        {"90 05 00 01 00 00 00", true}, {"90 03 00 01 00", true},        {"B0 04 00 01 00 00", true},
        {"40 02 00 01", true},          {"50 02 00 01", true},           {"90 04 00 02 00 00", false},
        {"90 04 00 01 00 03", true},    {"90 04 00 01 00 00", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        script s;
        tern__completion done;
        script_ready(&s, TERN__V5);
        subscribe(&s, "a", &done);
        script_drain(&s, SIZE_MAX);
        tern__buf_clear(&s.out);
        int rc = script_recv(&s, rows[i].hex);
        if ((rc != 0) != rows[i].bad) fail_msg("%s: %d", rows[i].hex, rc);
        if (rows[i].bad) assert_int_equal(script_event(&s), TERN__EVENT_FAILED);
        tern__completion *ended = tern__engine_next_completion(s.engine);
        if (ended != NULL) free(ended->codes);
        tern__buf_clear(&s.out);
        script_free(&s);
    }
}

/* A request that the server's maximum cannot carry ends here; others go on. [MQTT5-3.2.2-15] */
static void a_request_over_the_servers_maximum_ends_here(void **state)
{
    (void)state;
    script s;
    tern__completion large;
    tern__completion small;
    script_init(&s, TERN__V5);
    script_start(&s);
    script_online(&s, "20 08 00 00 05 27 00 00 00 0C");
    subscribe(&s, "a/long/one", &large);
    subscribe(&s, "a", &small);
    script_expect(&s, "82 07 00 02 00 00 01 'a' 00");
    answered(&s, &large, TERN_E_TOO_LARGE, "", 0);
    script_free(&s);
}

static void start_split(script *s, int version)
{
    script_init(s, version);
    s->config.filters_per_subscribe = 2;
    script_start(s);
    script_online(s, NULL);
}

/* More filters than a packet may have: several packets, answered in any order, and one end with all codes in order. A wish that
 * is made again keeps to the number, too. [C21] */
static void many_filters_are_split(void **state)
{
    (void)state;
    const char *filters[] = {"a", "b", "c", "d", "e", NULL};
    script s;
    tern__completion done;
    start_split(&s, TERN__V5);
    ask(&s, false, filters, NULL, 0, &done);
    script_expect(&s, "82 0B 00 01 00 00 01 'a' 00 00 01 'b' 00 82 0B 00 02 00 00 01 'c' 00 00 01 'd' 00 82 07 00 03 00 00 01 'e' 00");
    assert_int_equal(script_recv(&s, "90 04 00 03 00 02"), 0);
    assert_int_equal(script_recv(&s, "90 0A 00 01 05 1F 00 02 'no' 87 01"), 0);
    assert_null(tern__engine_next_completion(s.engine));
    assert_int_equal(script_recv(&s, "90 05 00 02 00 00 01"), 0);
    script_ended(&s, &done);
    assert_int_equal(done.error, 0);
    assert_int_equal(done.code_count, 5);
    assert_memory_equal(done.codes, "\x87\x01\x00\x01\x02", 5);
    assert_string_equal(done.reason_string, "no");
    free(done.codes);
    free(done.reason_string);
    script_offline(&s);
    script_online(&s, NULL);
    script_expect(&s, "82 0B 00 04 00 00 01 'e' 10 00 01 'b' 10 82 0B 00 05 00 00 01 'c' 10 00 01 'd' 10");
    script_free(&s);

    start_split(&s, TERN__V311);
    ask(&s, true, (const char *[]){"a", "b", "c", NULL}, NULL, 0, &done);
    script_expect(&s, "A2 08 00 01 00 01 'a' 00 01 'b' A2 05 00 02 00 01 'c'");
    assert_int_equal(script_recv(&s, "B0 02 00 01 B0 02 00 02"), 0);
    answered(&s, &done, 0, "", 0); /* 3.1.1 has no codes */
    script_free(&s);
}

/* The connection breaks between two answers: what has one is kept, what has none is asked again, and the end comes once. */
static void a_split_request_survives_a_cut(void **state)
{
    (void)state;
    const char *filters[] = {"a", "b", "c", NULL};
    script s;
    tern__completion done;
    script_init(&s, TERN__V311);
    s.config.filters_per_subscribe = 2;
    s.connect.session = TERN_SESSION_PERSISTENT;
    script_start(&s);
    script_online(&s, NULL);
    ask(&s, false, filters, NULL, 0, &done);
    script_expect(&s, "82 0A 00 01 00 01 'a' 00 00 01 'b' 00 82 06 00 02 00 01 'c' 00");
    assert_int_equal(script_recv(&s, "90 04 00 01 00 01"), 0);
    script_offline(&s);
    script_online(&s, "20 02 01 00");
    script_expect(&s, "82 06 00 03 00 01 'c' 00");
    assert_int_equal(script_recv(&s, "90 03 00 03 02"), 0);
    answered(&s, &done, 0, "\x00\x01\x02", 3);
    ask(&s, false, filters, NULL, 0, &done);
    script_drain(&s, SIZE_MAX);
    s.out.len = 0;
    assert_int_equal(script_recv(&s, "90 04 00 04 00 01"), 0);
    script_offline(&s);
    assert_int_equal(tern__engine_abandon(s.engine), 0);
    answered(&s, &done, TERN_E_CLOSED, "", 0);
    ask(&s, false, filters, NULL, 0, NULL); /* nobody asks, and nobody answers */
    script_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_is_on_the_wire),
        cmocka_unit_test(unsubscribing_is_answered),
        cmocka_unit_test(wishes_are_renewed_when_the_session_is_lost),
        cmocka_unit_test(renewing_asks_for_retained_messages_once),
        cmocka_unit_test(wishes_are_renewed_in_doubt),
        cmocka_unit_test(an_unanswered_subscription_is_sent_again),
        cmocka_unit_test(the_last_request_wins),
        cmocka_unit_test(wrong_answers_end_the_link),
        cmocka_unit_test(a_request_over_the_servers_maximum_ends_here),
        cmocka_unit_test(many_filters_are_split),
        cmocka_unit_test(a_split_request_survives_a_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
