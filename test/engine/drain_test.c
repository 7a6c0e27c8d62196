/* The drain rate: a backlog goes out evenly spaced after each connection, and nothing else is slowed.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/script.h"

#include <stdio.h>
#include <string.h>

enum { INTERVAL = SCRIPT_SECOND / 2 };

static void start(script *s)
{
    script_init(s, TERN__V311);
    s->config.drain_interval_us = INTERVAL;
    s->connect.session = TERN_SESSION_PERSISTENT;
    script_start(s);
}

static void publish(script *s, uint8_t qos, const char *payload)
{
    assert_int_equal(script_publish(s, qos, "t", payload, NULL), 0);
    (void)tern__engine_sync_locked(s->engine);
}

/* Two a second: one at once, then one each half second, whatever its QoS; a new message goes behind, and when all is out
 * there is no rate any more. */
static void a_backlog_is_spaced(void **state)
{
    (void)state;
    script s;
    start(&s);
    publish(&s, 0, "1");
    publish(&s, 1, "2");
    publish(&s, 0, "3");
    script_online(&s, NULL);
    script_expect(&s, "30 04 00 01 't' '1'");
    publish(&s, 0, "4");
    script_expect(&s, "");
    assert_int_equal(tern__engine_deadline(s.engine), s.now + INTERVAL);
    script_wait(&s, INTERVAL - 1);
    script_expect(&s, "");
    script_wait(&s, 1);
    script_expect(&s, "32 06 00 01 't' 00 01 '2'");
    script_wait(&s, INTERVAL);
    script_expect(&s, "30 04 00 01 't' '3'");
    script_wait(&s, INTERVAL);
    script_expect(&s, "30 04 00 01 't' '4'");
    publish(&s, 0, "5"); /* nothing waits any more */
    publish(&s, 0, "6");
    script_wait(&s, INTERVAL);
    script_expect(&s, "30 04 00 01 't' '5' 30 04 00 01 't' '6'");
    publish(&s, 0, "7");
    publish(&s, 0, "8");
    script_expect(&s, "30 04 00 01 't' '7' 30 04 00 01 't' '8'");
    script_free(&s);
}

/* A loop that comes late does not make up for it with a burst, and one that is a little late keeps the rate. */
static void lateness_makes_no_burst(void **state)
{
    (void)state;
    script s;
    start(&s);
    for (int i = 0; i < 6; i++) publish(&s, 0, "x");
    script_online(&s, NULL);
    script_expect(&s, "30 04 00 01 't' 'x'");
    s.now += INTERVAL + INTERVAL / 4;
    script_expect(&s, "30 04 00 01 't' 'x'");
    s.now += INTERVAL * 3 / 4; /* due since the first, not since the look */
    script_expect(&s, "30 04 00 01 't' 'x'");
    s.now += 10 * INTERVAL;
    script_expect(&s, "30 04 00 01 't' 'x'");
    script_expect(&s, "");
    s.now += INTERVAL;
    script_expect(&s, "30 04 00 01 't' 'x'");
    script_free(&s);
}

/* On a resumed session what was in flight goes out again at once; each connection has its own backlog. [C6] */
static void redelivery_is_not_slowed(void **state)
{
    (void)state;
    script s;
    start(&s);
    script_online(&s, NULL);
    script_expect(&s, "");
    publish(&s, 1, "1");
    publish(&s, 2, "2");
    publish(&s, 1, "3");
    script_expect(&s, "32 06 00 01 't' 00 01 '1' 34 06 00 01 't' 00 02 '2' 32 06 00 01 't' 00 03 '3'");
    assert_int_equal(script_recv(&s, "50 02 00 02"), 0);
    script_expect(&s, "62 02 00 02");
    script_offline(&s);
    publish(&s, 0, "4");
    publish(&s, 0, "5");
    script_online(&s, "20 02 01 00");
    script_expect(&s, "62 02 00 02 3A 06 00 01 't' 00 01 '1' 3A 06 00 01 't' 00 03 '3' 30 04 00 01 't' '4'");
    script_offline(&s);
    script_online(&s, "20 02 01 00");
    script_expect(&s, "62 02 00 02 3A 06 00 01 't' 00 01 '1' 3A 06 00 01 't' 00 03 '3' 30 04 00 01 't' '5'");
    script_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_backlog_is_spaced),
        cmocka_unit_test(lateness_makes_no_burst),
        cmocka_unit_test(redelivery_is_not_slowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
