/* A pool that is made while memory runs out: an error, nothing left behind, and the next one works. [C19]
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <tern/tern.h>

#include "pool/pool.h"
#include "support/failing.h"

static tern_connection_options *connection;

static int make(tern_pool **pool)
{
    tern_pool_options *options = NULL;
    int rc = tern_pool_options_new(&options);
    if (rc == 0) rc = tern_pool_options_set_members(options, 3);
    if (rc == 0) rc = tern_pool_options_set_client_id_prefix(options, "pool");
    if (rc == 0) rc = tern_pool_new(pool, options, NULL, connection);
    tern_pool_options_free(options);
    return rc;
}

static int use(tern_pool *pool)
{
    int rc = tern_pool_subscribe(pool, "a", TERN_QOS_1, "group");
    if (rc == 0) rc = tern_pool_publish(pool, "t", "x", 1, TERN_QOS_1, NULL);
    tern_token *token = NULL;
    if (rc == 0) rc = tern_pool_publish_token(pool, "t", "x", 1, TERN_QOS_1, &token);
    tern_token_unref(token);
    if (rc == 0 && tern_pool_flush_wait(pool, 0) == TERN_E_NOMEM) rc = TERN_E_NOMEM;
    return rc;
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    assert_int_equal(tern_connection_options_new(&connection), 0);
    assert_int_equal(tern_connection_options_add_server(connection, "mqtt://127.0.0.1:1"), 0);
    int rc = TERN_E_NOMEM;
    long n = 0;
    for (; rc != 0; n++) {
        tern_pool *pool = NULL;
        failing_arm(n);
        rc = make(&pool);
        if (rc != 0) assert_null(pool);
        if (rc == 0) rc = use(pool);
        (void)failing_disarm();
        if (rc != 0) assert_int_equal(rc, TERN_E_NOMEM);
        tern_pool_free(pool);
        assert_true(n < 2000);
    }
    assert_true(n > 30);
    tern_connection_options_free(connection);
}

static void ids_of_members_do_not_meet(void **state)
{
    (void)state;
    assert_int_equal(tern__pool_id(0, 1), 1);
    assert_int_equal(tern_pool_member_of(tern__pool_id(255, TERN__POOL_ID_MASK)), 255);
    assert_int_equal(tern__pool_id(3, 7) & TERN__POOL_ID_MASK, 7);
    assert_int_equal(tern__pool_id(3, 8) - tern__pool_id(3, 7), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_fails_once),
        cmocka_unit_test(ids_of_members_do_not_meet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
