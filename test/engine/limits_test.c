/* What the server said it cannot do is not asked of it. [V5-U-10]
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/script.h"

#include <tern/error.h>
#include <tern/subscription.h>

static void subscribe(script *s, const char *filter, uint32_t identifier, tern__completion *completion)
{
    tern_subscription *wish;
    assert_int_equal(tern_subscription_new(&wish), 0);
    assert_int_equal(tern_subscription_add(wish, "plain", TERN_QOS_1), 0);
    assert_int_equal(tern_subscription_add(wish, filter, TERN_QOS_1), 0);
    if (identifier != 0) assert_int_equal(tern_subscription_set_identifier(wish, identifier), 0);
    *completion = (tern__completion){.error = -1000};
    assert_int_equal(tern__engine_subscribe(s->engine, wish, completion, s->now), 0);
    tern_subscription_free(wish);
}

/* With each capability missing: what needs it ends at once, and no byte of it goes out; the rest does. */
static void unavailable_subscriptions_end_here(void **state)
{
    (void)state;
    static const struct {
        const char *connack;
        const char *filter;
        uint32_t identifier;
        bool sent;
    } rows[] = {
        {"20 05 00 00 02 28 00", "a/+", 0, false},         {"20 05 00 00 02 28 00", "#", 0, false},
        {"20 05 00 00 02 28 00", "a/b", 0, true},          {"20 05 00 00 02 28 00", "$share/g/a", 0, true},
        {"20 05 00 00 02 28 00", "$share/g/a/#", 0, false}, {"20 05 00 00 02 2A 00", "$share/g/a", 0, false},
        {"20 05 00 00 02 2A 00", "a/#", 0, true},          {"20 05 00 00 02 29 00", "a", 7, false},
        {"20 05 00 00 02 29 00", "a", 0, true},            {"20 05 00 00 02 28 01", "a/+", 7, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        script s;
        tern__completion completion;
        script_init(&s, TERN__V5);
        script_start(&s);
        script_online(&s, rows[i].connack);
        subscribe(&s, rows[i].filter, rows[i].identifier, &completion);
        script_drain(&s, SIZE_MAX);
        assert_int_equal(s.out.len != 0, rows[i].sent);
        if (!rows[i].sent) {
            script_ended(&s, &completion);
            assert_int_equal(completion.error, TERN_E_UNSUPPORTED);
        }
        tern__engine_closed(s.engine, s.now);
        assert_int_equal(tern__engine_abandon(s.engine), 0);
        if (rows[i].sent) script_ended(&s, &completion);
        s.out.len = 0;
        script_free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(unavailable_subscriptions_end_here)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
