/* Names of a test's own: those in its hosts file, and none else, as its name server never answers.
 * SPDX-License-Identifier: Apache-2.0 */
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "support/names.h"
#include "support/net.h"
#include "support/peers.h"

/* Both loopback addresses, of which the sixth version's may be missing. */
static void a_name_has_both_addresses(void **state)
{
    (void)state;
    struct addrinfo *found = NULL;
    int kinds[2] = {0, 0};
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    assert_int_equal(getaddrinfo("both.test", "1", &hints, &found), 0);
    for (const struct addrinfo *each = found; each != NULL; each = each->ai_next)
        kinds[each->ai_family == AF_INET6]++;
    freeaddrinfo(found);
    assert_int_equal(kinds[0], 1);
    assert_int_equal(kinds[1], 1);
}

static void the_outside_is_away(void **state)
{
    (void)state;
    uint16_t port;
    const int listener = net_listen("127.0.0.1", &port);
    const int fd = net_connect("127.0.0.1", port);
    assert_true(listener >= 0 && fd >= 0);
    close(fd);
    close(listener);
    assert_int_equal(net_connect("192.0.2.1", 1), -1); /* at once: there is no route */
}

/* A program of its own asks, which can be killed while it waits for an answer. */
static void a_silent_server_is_asked(void **state)
{
    (void)state;
    char output[256];
    const int server = names_silence();
    assert_true(server >= 0);
    const char *const asks[] = {"timeout", "1", "getent", "hosts", "nobody.test", NULL};
    assert_int_equal(peer_run(asks, NULL, output, sizeof output), 124);
    assert_true(names_were_asked(server));
    close(server);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_has_both_addresses),
        cmocka_unit_test(the_outside_is_away),
        cmocka_unit_test(a_silent_server_is_asked),
    };
    (void)count;
    if (!names_are_private(arguments, "127.0.0.1 localhost both.test\n::1 both.test\n")) return 77;
    return peers_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
