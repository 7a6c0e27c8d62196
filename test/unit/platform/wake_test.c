/* Wake-ups by eventfd and by pipe.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>

#include "platform/wake.h"
#include "support/net.h"

typedef int (*init_call)(tern__wake *wake);

static void check(init_call init)
{
    tern__wake wake;
    assert_int_equal(init(&wake), 0);
    assert_false(net_readable(wake.read_fd, 0));
    tern__wake_signal(&wake);
    tern__wake_signal(&wake);
    assert_true(net_readable(wake.read_fd, 0));
    tern__wake_clear(&wake);
    assert_false(net_readable(wake.read_fd, 0));
    tern__wake_clear(&wake); /* nothing there: returns at once */
    tern__wake_signal(&wake);
    assert_true(net_readable(wake.read_fd, 0));
    assert_true((fcntl(wake.read_fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_true((fcntl(wake.write_fd, F_GETFD) & FD_CLOEXEC) != 0);
    tern__wake_deinit(&wake);
    assert_int_equal(wake.read_fd, -1);
    tern__wake_deinit(&wake); /* a second time does nothing */
}

static void wakes_by_the_systems_best(void **state)
{
    (void)state;
    check(tern__wake_init);
}

static void wakes_by_pipe(void **state)
{
    (void)state;
    check(tern__wake_init_pipe);
}

/* More signals than a pipe holds: none blocks, none is lost, one clear takes all. */
static void a_full_pipe_is_no_trouble(void **state)
{
    (void)state;
    tern__wake wake;
    assert_int_equal(tern__wake_init_pipe(&wake), 0);
    assert_int_not_equal(wake.read_fd, wake.write_fd);
    errno = 0;
    for (int i = 0; i < 70000; i++)
        tern__wake_signal(&wake);
    assert_int_equal(errno, 0);
    assert_true(net_readable(wake.read_fd, 0));
    tern__wake_clear(&wake);
    assert_false(net_readable(wake.read_fd, 0));
    tern__wake_deinit(&wake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wakes_by_the_systems_best),
        cmocka_unit_test(wakes_by_pipe),
        cmocka_unit_test(a_full_pipe_is_no_trouble),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
