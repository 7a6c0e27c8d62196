/* Every allocation of a session fails once: no crash, no leak, one outcome for every accepted message. [C19]
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

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
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_fails_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
