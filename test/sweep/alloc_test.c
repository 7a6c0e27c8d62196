/* Every allocation of a session fails once: no crash, no leak, one outcome for every accepted message. [C19]
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <tern/error.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "engine/script.h"
#include "sweep/world.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __wrap_free(void *memory);

static long until_failure = -1; /* allocations that still succeed; -1: all */
static long live;               /* allocations that were not freed */

static bool fails(void)
{
    if (until_failure < 0) return false;
    return until_failure-- == 0;
}

void *__wrap_malloc(size_t size)
{
    if (fails()) return NULL;
    live++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    if (fails()) return NULL;
    live++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    if (fails()) return NULL;
    if (memory == NULL) live++;
    return __real_realloc(memory, size);
}

void __wrap_free(void *memory)
{
    if (memory != NULL) live--;
    __real_free(memory);
}

static world w;

/* A session with a cut in the middle, then to the end. */
static unsigned play(int version, size_t cut_at)
{
    unsigned accepted = 0;
    (void)world_submit(&w, &accepted);
    w.version = version;
    w.cut_out = cut_at;
    for (int connection = 0; connection < 6; connection++) {
        world_connect(&w);
        world_run(&w);
        world_disconnect(&w);
        w.cut_out = SIZE_MAX;
    }
    world_close(&w);
    return accepted;
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    for (int version = TERN__V311; version <= TERN__V5; version++) {
        bool failed = true;
        for (long n = 0; failed; n++) {
            live = 0;
            until_failure = n;
            unsigned accepted = 0;
            if (world_init(&w, version) == 0) {
                accepted = play(version, 90);
                failed = until_failure < 0;
                until_failure = -1;
                for (unsigned i = 0; i < accepted; i++)
                    if (w.outcomes[i] != 1) fail_msg("allocation %ld: message %u has %u outcomes", n, i, w.outcomes[i]);
                for (unsigned i = 0; i < accepted; i++)
                    if (w.outcome[i] == TERN_OUTCOME_NOT_SENT) assert_int_equal(w.copies[i], 0);
                world_deinit(&w);
            }
            until_failure = -1;
            if (live != 0) fail_msg("allocation %ld: %ld were not freed", n, live);
            assert_true(n < 100000);
            if (!failed) assert_true(n > 30); /* it was a whole session */
        }
    }
}

/* Where memory runs out for what came in, the link ends without an acknowledgement, nothing is delivered that is not
 * remembered, and the message that the server sends again on the next connection is taken. [MQTT311-4.8.0-2] */
static void what_cannot_be_kept_is_not_acknowledged(void **state)
{
    (void)state;
    for (int version = TERN__V311; version <= TERN__V5; version++) {
        const char *first = version == TERN__V5 ? "34 06 00 01 'a' 00 07 00" : "34 05 00 01 'a' 00 07";
        const char *again = version == TERN__V5 ? "3c 06 00 01 'a' 00 07 00" : "3c 05 00 01 'a' 00 07";
        bool failed = true;
        for (long n = 0; failed; n++) {
            script s;
            live = 0;
            script_ready(&s, version);
            until_failure = n;
            const int rc = script_recv(&s, first);
            failed = until_failure < 0;
            until_failure = -1;
            assert_true(failed || rc == 0);
            const bool delivered = strcmp(script_delivered(&s), "a=/2;") == 0;
            if (rc != 0) {
                assert_int_equal(rc, TERN_E_NOMEM);
                script_expect(&s, version == TERN__V5 && !tern__engine_connected(s.engine) ? "e0 01 83" : "");
                script_offline(&s);
                script_online(&s, version == TERN__V5 ? "20 03 01 00 00" : "20 02 01 00");
                assert_int_equal(script_recv(&s, again), 0);
                assert_string_equal(script_delivered(&s), delivered ? "" : "a=/2d;");
            }
            tern__engine_ack_through(s.engine, s.epoch, s.last_seq);
            script_expect(&s, "50 02 00 07");
            script_free(&s);
            assert_int_equal(live, 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_fails_once),
                                       cmocka_unit_test(what_cannot_be_kept_is_not_acknowledged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
