/* The input of a whole session, cut anywhere: the same bytes, messages and outcomes come out.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/script.h"

#include <stdlib.h>
#include <string.h>
#include <tern/subscription.h>

enum { MESSAGES = 6, ENDS = MESSAGES + 1 };

/* What a session leaves behind. */
typedef struct trace {
    tern__buf out;
    char delivered[512];
    tern__completion ends[ENDS]; /* of the messages, and of the subscription */
    uint64_t settled;
} trace;

static const char *const inputs[2] = {
    /* SUBACK, messages of each QoS, our acks in between, PUBREL, PINGRESP, an empty payload, a long topic */
    "90 03 00 01 02 30 04 00 01 'a' '0' 40 02 00 02 32 06 00 01 'a' 00 01 '1' 50 02 00 03 34 06 00 01 'a' 00 02 '2'"
    "70 02 00 03 62 02 00 02 D0 00 30 12 00 10 'aaaabbbbccccdddd' 40 02 00 04 50 02 00 05 3D 06 00 01 'a' 00 03 '4'"
    "70 02 00 05 62 02 00 03 31 04 00 01 'z' 'r'",
    "90 0A 00 01 06 1F 00 03 'yes' 02 30 0A 00 01 'a' 05 02 00 00 00 09 '0' 40 02 00 02 32 07 00 01 'a' 00 01 00 '1'"
    "50 03 00 03 00 34 13 00 01 'a' 00 02 0C 26 00 01 'k' 00 01 'v' 23 00 01 0B 07 '2' 70 04 00 03 00 00 62 02 00 02 D0 00"
    "30 13 00 10 'aaaabbbbccccdddd' 00 40 09 00 04 87 05 1F 00 02 'no' 50 02 00 05 30 06 00 00 03 23 00 01"
    "70 03 00 05 92 31 05 00 01 'z' 00 'r'",
};

static void publish_and_subscribe(script *s, trace *t)
{
    tern_subscription *wish;
    assert_int_equal(tern_subscription_new(&wish), 0);
    assert_int_equal(tern_subscription_add(wish, "#", TERN_QOS_2), 0);
    assert_int_equal(tern__engine_subscribe(s->engine, wish, &t->ends[MESSAGES], s->now), 0);
    tern_subscription_free(wish);
    for (int i = 0; i < MESSAGES; i++)
        assert_int_equal(script_publish(s, (uint8_t)((i + 1) % 3), "out", "payload", &t->ends[i]), 0);
    script_drain(s, SIZE_MAX);
}

/* What came so far is delivered and acknowledged; the bytes that go out are gathered. */
static void pump(script *s)
{
    (void)script_event(s);
    if (s->last_seq != 0) tern__engine_ack_through(s->engine, s->epoch, s->last_seq);
    script_drain(s, SIZE_MAX);
}

/* How the owner goes about it: it looks after the engine after each piece, or only at the end; then no output depends on where
 * the pieces end. */
typedef enum care { EACH_PIECE, AT_THE_END } care;

static void feed(script *s, const uint8_t *data, size_t len, size_t first, size_t step, care when)
{
    size_t at = 0;
    while (at < len) {
        size_t n = at == 0 && first != 0 ? first : step;
        if (n > len - at) n = len - at;
        assert_int_equal(script_recv_bytes(s, data + at, n), 0);
        if (when == EACH_PIECE) pump(s);
        at += n;
    }
    pump(s);
}

static void run(int version, size_t first, size_t step, care when, trace *t)
{
    script s;
    uint8_t input[512];
    size_t len = script_parse(inputs[version - TERN__V311], input, sizeof input);
    memset(t, 0, sizeof *t);
    script_init(&s, version);
    s.config.topic_alias_maximum = 4;
    script_start(&s);
    script_online(&s, NULL);
    publish_and_subscribe(&s, t);
    feed(&s, input, len, first, step, when);
    strcpy(t->delivered, script_delivered(&s));
    t->out = s.out;
    s.out = (tern__buf){0};
    t->settled = tern__engine_settled_id(s.engine);
    while (tern__engine_next_completion(s.engine) != NULL)
        ;
    script_free(&s);
}

static void trace_free(trace *t)
{
    tern__buf_deinit(&t->out);
    for (int i = 0; i < ENDS; i++) {
        free(t->ends[i].codes);
        free(t->ends[i].reason_string);
    }
}

static bool same_end(const tern__completion *want, const tern__completion *got)
{
    if (want->error != got->error || want->outcome != got->outcome || want->cause != got->cause) return false;
    if (want->reason != got->reason || want->code_count != got->code_count) return false;
    if (want->code_count != 0 && memcmp(want->codes, got->codes, want->code_count) != 0) return false;
    if (want->reason_string == NULL || got->reason_string == NULL) return want->reason_string == got->reason_string;
    return strcmp(want->reason_string, got->reason_string) == 0;
}

/* The bytes that go out in their order of packets; where the owner looks in between, acks go out in between too, so that only
 * their number is the same. */
static void same(const trace *want, const trace *got, size_t first, size_t step, care when)
{
    bool alike = strcmp(want->delivered, got->delivered) == 0 && want->settled == got->settled;
    alike = alike && want->out.len == got->out.len;
    if (alike && when == AT_THE_END) alike = memcmp(want->out.data, got->out.data, want->out.len) == 0;
    for (int i = 0; i < ENDS; i++)
        alike = alike && same_end(&want->ends[i], &got->ends[i]);
    if (!alike) fail_msg("first %zu, then %zu: delivered %s, wanted %s", first, step, got->delivered, want->delivered);
}

/* Cut once at each point, and into pieces of each size, down to single bytes. */
static void sweep(int version)
{
    uint8_t input[512];
    size_t len = script_parse(inputs[version - TERN__V311], input, sizeof input);
    trace whole;
    run(version, 0, SIZE_MAX, AT_THE_END, &whole);
    assert_true(strlen(whole.delivered) > 40);
    assert_int_equal(whole.settled, MESSAGES);
    assert_true(whole.out.len > 100);
    for (size_t at = 1; at < len; at++) {
        for (care when = EACH_PIECE; when <= AT_THE_END; when++) {
            trace t;
            run(version, at, SIZE_MAX, when, &t);
            same(&whole, &t, at, SIZE_MAX, when);
            trace_free(&t);
            run(version, 0, at, when, &t);
            same(&whole, &t, 0, at, when);
            trace_free(&t);
        }
    }
    trace_free(&whole);
}

static void cut_anywhere_in_3_1_1(void **state)
{
    (void)state;
    sweep(TERN__V311);
}

static void cut_anywhere_in_5(void **state)
{
    (void)state;
    sweep(TERN__V5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cut_anywhere_in_3_1_1), cmocka_unit_test(cut_anywhere_in_5)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
