/* The password of CONNECT: it is overwritten once it was sent, or cannot be sent any more.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "codec/packet.h"
#include "engine/engine.h"
#include "support/failing.h"

static const char SECRET[] = "open-sesame-4711";
enum { NOW = 1000 };

static tern__view view_of(const char *text)
{
    return (tern__view){(const uint8_t *)text, strlen(text)};
}

static bool shows(const tern__iov *piece)
{
    return memmem(piece->data, piece->len, SECRET, strlen(SECRET)) != NULL;
}

typedef enum ending { SENT, SENT_IN_PART, NOT_STAGED } ending;

/* What the buffers hold afterwards is seen when they are freed. */
static void run(int version, ending how)
{
    tern__engine *engine;
    tern__iov piece;
    size_t count;
    tern__block_pool *pool;
    assert_int_equal(tern__block_pool_new(&pool, 4096), 0);
    const tern__engine_config config = {.client_id = "it", .outbox_bytes = 1 << 20, .inflight_maximum = 10, .receive_maximum = 10,
                                        .maximum_packet_size = 1 << 20, .pool = pool};
    const tern__connect_config connect = {.version = version, .ping_timeout_ms = 1000, .has_user_name = true, .has_password = true,
                                          .user_name = view_of("me"), .password = view_of(SECRET)};
    assert_int_equal(tern__engine_new(&engine, &config), 0);
    (void)failing_watch(SECRET);
    assert_int_equal(tern__engine_opened(engine, &connect, NOW), 0);
    if (how != NOT_STAGED) {
        assert_int_equal(tern__engine_output(engine, NOW, &piece, 1, &count), 0);
        assert_int_equal(count, 1);
        assert_true(shows(&piece));
        const size_t sent = how == SENT ? piece.len : piece.len - 1;
        tern__engine_sent(engine, sent, NOW);
    }
    if (how != SENT) tern__engine_closed(engine, NOW);
    tern__engine_free(engine);
    assert_int_equal(failing_watch(NULL), 0);
    tern__block_pool_unref(pool);
}

static void a_password_is_overwritten(void **state)
{
    (void)state;
    static const int versions[] = {TERN__V311, TERN__V5};
    for (size_t i = 0; i < 2; i++)
        for (int how = SENT; how <= NOT_STAGED; how++) run(versions[i], (ending)how);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_password_is_overwritten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
