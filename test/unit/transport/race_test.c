/* Connecting: each step's success and failure in words, the race of addresses, and giving up
 * anywhere. Names of the form "fake" are answered by the test (the linker wraps the lookup), all
 * others by the system. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <tern/error.h>
#include <unistd.h>

#include "platform/clock.h"
#include "support/net.h"
#include "transport/race.h"

/* ---- a name server of our own ---- */

static struct fake {
    tern__lookup_callback callback; /* NULL while nobody asks */
    void *user_data;
    unsigned cancelled;
} fake;

int __real_tern__lookup_start(tern__lookup **lookup, tern__resolver *resolver, const char *host,
                              uint16_t port, tern__lookup_callback callback, void *user_data);
void __real_tern__lookup_cancel(tern__lookup *lookup);
int __wrap_tern__lookup_start(tern__lookup **lookup, tern__resolver *resolver, const char *host,
                              uint16_t port, tern__lookup_callback callback, void *user_data);
void __wrap_tern__lookup_cancel(tern__lookup *lookup);

int __wrap_tern__lookup_start(tern__lookup **lookup, tern__resolver *resolver, const char *host,
                              uint16_t port, tern__lookup_callback callback, void *user_data)
{
    if (strcmp(host, "fake") != 0)
        return __real_tern__lookup_start(lookup, resolver, host, port, callback, user_data);
    fake.callback = callback;
    fake.user_data = user_data;
    *lookup = (tern__lookup *)&fake;
    return 0;
}

void __wrap_tern__lookup_cancel(tern__lookup *lookup)
{
    if (lookup != (tern__lookup *)&fake) {
        __real_tern__lookup_cancel(lookup);
        return;
    }
    fake.callback = NULL;
    fake.cancelled++;
}

static void answer_fake(const tern__address *addresses, size_t count)
{
    tern__lookup_callback callback = fake.callback;
    assert_non_null(callback);
    fake.callback = NULL;
    callback(fake.user_data, addresses, count, count != 0 ? NULL : "fake: no answer");
}

/* ---- an attempt ---- */

typedef struct fixture {
    tern__poller *poller;
    tern__resolver *resolver;
    tern__race *attempt;
    unsigned calls;
    tern__stream *stream;
    tern__stream_failure failure;
    int lowest_fd; /* before all: finds leaks */
} fixture;

static int lowest_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(fd);
    return fd;
}

static void set_up(fixture *f)
{
    *f = (fixture){.lowest_fd = lowest_fd()};
    fake = (struct fake){0};
    assert_int_equal(tern__poller_new(&f->poller, TERN_POLLER_DEFAULT), 0);
    assert_int_equal(tern__resolver_new(&f->resolver, f->poller), 0);
}

static void tear_down(fixture *f)
{
    tern__stream_close(f->stream);
    tern__resolver_free(f->resolver);
    tern__poller_free(f->poller);
    assert_int_equal(lowest_fd(), f->lowest_fd);
}

static void on_ended(void *user_data, tern__stream *stream, const char *peer, const tern__stream_failure *failure)
{
    fixture *f = user_data;
    assert_true((stream == NULL) == (peer == NULL));
    f->calls++;
    f->attempt = NULL;
    f->stream = stream;
    assert_true((stream == NULL) == (failure != NULL));
    if (failure != NULL) f->failure = *failure;
}

static void start(fixture *f, const char *url)
{
    tern__uri uri;
    char why[200];
    assert_int_equal(tern__uri_parse(url, &uri, why, sizeof why), 0);
    const tern__race_goal goal = {uri.scheme, uri.host, uri.port, NULL};
    assert_int_equal(
        tern__race_start(&f->attempt, &goal, f->poller, f->resolver, on_ended, f, tern__clock_us()), 0);
    tern__uri_deinit(&uri);
    assert_int_equal(f->calls, 0); /* never from within the start */
    assert_non_null(f->attempt);
}

static void start_at(fixture *f, const char *host, uint16_t port)
{
    char url[80];
    snprintf(url, sizeof url, "mqtt://%s:%u", host, (unsigned)port);
    start(f, url);
}

/* As the loop does: waits by the attempt's deadline, and ticks. */
static void run(fixture *f)
{
    const uint64_t end = tern__clock_us() + (uint64_t)NET_PATIENCE_MS * 3000;
    while (f->calls == 0 && tern__clock_us() < end) {
        unsigned woken;
        uint64_t now = tern__clock_us();
        uint64_t due = tern__race_deadline(f->attempt);
        int64_t timeout = due <= now ? 0 : due - now > 100000 ? 100000 : (int64_t)(due - now);
        assert_int_equal(tern__poller_wait(f->poller, timeout, &woken), 0);
        if (f->attempt != NULL && tern__clock_us() >= tern__race_deadline(f->attempt))
            tern__race_tick(f->attempt, tern__clock_us());
    }
    assert_int_equal(f->calls, 1);
}

static void check_works(fixture *f, int listener)
{
    char data[8] = "ping";
    size_t n;
    tern__iov piece = {data, 4};
    int peer = net_accept(listener, NET_PATIENCE_MS);
    assert_true(peer >= 0);
    assert_non_null(f->stream);
    assert_int_equal(tern__stream_write(f->stream, &piece, 1, &n), 0);
    assert_int_equal(net_read(peer, data, 4, NET_PATIENCE_MS), 4);
    close(peer);
}

static void check_refused(const fixture *f, const char *text)
{
    assert_null(f->stream);
    assert_int_equal(f->failure.error, TERN_E_CONNECT);
    assert_int_equal(f->failure.step, TERN_STEP_CONNECT);
    assert_int_equal(f->failure.os_error, ECONNREFUSED);
    assert_string_equal(f->failure.text, text);
}

static tern__address address_of(const char *host, uint16_t port)
{
    tern__address address = {.len = sizeof(struct sockaddr_in)};
    struct sockaddr_in *in = (struct sockaddr_in *)&address.storage;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address.storage;
    if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        address.len = sizeof *in6;
    } else {
        assert_int_equal(inet_pton(AF_INET, host, &in->sin_addr), 1);
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
    }
    return address;
}

/* ---- one address ---- */

static void opens_a_tcp_stream(void **state)
{
    (void)state;
    static const char *const hosts[] = {"127.0.0.1", "localhost"};
    for (int i = 0; i < 2; i++) {
        fixture f;
        uint16_t port;
        int listener = net_listen("127.0.0.1", &port);
        set_up(&f);
        start_at(&f, hosts[i], port);
        run(&f);
        assert_string_equal(f.stream->ops->name, "tcp");
        check_works(&f, listener);
        tear_down(&f);
        close(listener);
    }
}

static void opens_an_ipv6_stream(void **state)
{
    (void)state;
    fixture f;
    uint16_t port;
    int listener = net_listen("::1", &port);
    if (listener < 0) skip();
    set_up(&f);
    start_at(&f, "[::1]", port);
    run(&f);
    check_works(&f, listener);
    tear_down(&f);
    close(listener);
}

static void a_refused_connection_names_peer_and_cause(void **state)
{
    (void)state;
    fixture f;
    uint16_t port;
    char text[100];
    int reserved = net_refusing_port(&port);
    set_up(&f);
    start_at(&f, "127.0.0.1", port);
    run(&f);
    snprintf(text, sizeof text, "127.0.0.1:%u: Connection refused", (unsigned)port);
    check_refused(&f, text);
    tear_down(&f);
    close(reserved);
}

static void an_unknown_name_fails_in_its_step(void **state)
{
    (void)state;
    fixture f;
    char peer[80];
    set_up(&f);
    start(&f, "mqtt://no-such-host.invalid:1884");
    assert_int_equal(tern__race_step(f.attempt, peer, sizeof peer), TERN_STEP_RESOLVE);
    assert_string_equal(peer, "no-such-host.invalid:1884");
    run(&f);
    assert_int_equal(f.failure.error, TERN_E_RESOLVE);
    assert_int_equal(f.failure.step, TERN_STEP_RESOLVE);
    assert_memory_equal(f.failure.text, "no-such-host.invalid: ", 22);
    tear_down(&f);
}

static void unix_sockets_open_and_fail(void **state)
{
    (void)state;
    fixture f;
    char dir[64];
    char path[100];
    char url[120];
    char text[160];
    assert_true(net_temp_dir(dir, sizeof dir));
    snprintf(path, sizeof path, "%s/broker", dir);
    snprintf(url, sizeof url, "unix://%s", path);
    set_up(&f);
    start(&f, url);
    run(&f);
    assert_int_equal(f.failure.error, TERN_E_CONNECT);
    assert_int_equal(f.failure.os_error, ENOENT);
    snprintf(text, sizeof text, "%s: No such file or directory", path);
    assert_string_equal(f.failure.text, text);
    tear_down(&f);
    int listener = net_listen_unix(path);
    set_up(&f);
    start(&f, url);
    run(&f);
    assert_string_equal(f.stream->ops->name, "unix");
    check_works(&f, listener);
    tear_down(&f);
    close(listener);
    net_remove_dir(dir);
}

static void a_long_unix_path_fails_later(void **state)
{
    (void)state;
    fixture f;
    char url[320] = "unix:///";
    memset(url + 8, 'a', 300);
    set_up(&f);
    start(&f, url);
    run(&f);
    assert_int_equal(f.failure.error, TERN_E_CONNECT);
    assert_int_equal(f.failure.os_error, ENAMETOOLONG);
    assert_non_null(strstr(f.failure.text, "too long"));
    tear_down(&f);
}

static void no_descriptors_is_a_system_error(void **state)
{
    (void)state;
    fixture f;
    struct rlimit before;
    uint16_t port;
    int reserved = net_refusing_port(&port);
    set_up(&f);
    start_at(&f, "fake", port);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {(rlim_t)lowest_fd(), before.rlim_max};
    tern__address address = address_of("127.0.0.1", port);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    answer_fake(&address, 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(f.calls, 1);
    assert_int_equal(f.failure.error, TERN_E_SYSTEM);
    assert_int_equal(f.failure.os_error, EMFILE);
    tear_down(&f);
    close(reserved);
}

/* ---- several addresses ---- */

/* A port that answers nobody: its queue of connections is full. fds are to be closed by the caller.
 */
enum { STUCK_FDS = 8 };
static uint16_t stuck_port(int *fds)
{
    uint16_t port;
    fds[0] = net_refusing_port(&port);
    assert_int_equal(listen(fds[0], 0), 0);
    tern__address address = address_of("127.0.0.1", port);
    for (int i = 1; i < STUCK_FDS; i++) {
        int error = tern__socket_connect(&address, NULL, &fds[i]);
        assert_true(error == 0 || error == EINPROGRESS);
    }
    return port;
}

static void unstick(const int *fds)
{
    for (int i = 0; i < STUCK_FDS; i++)
        close(fds[i]);
}

static void the_next_address_follows_a_refused_one(void **state)
{
    (void)state;
    fixture f;
    uint16_t closed;
    uint16_t open;
    int reserved = net_refusing_port(&closed);
    int listener = net_listen("127.0.0.1", &open);
    set_up(&f);
    start_at(&f, "fake", 1);
    tern__address addresses[] = {address_of("127.0.0.1", closed), address_of("127.0.0.1", open)};
    answer_fake(addresses, 2);
    run(&f);
    check_works(&f, listener);
    tear_down(&f);
    close(listener);
    close(reserved);
}

/* RFC 8305 section 5: the next one starts 250 ms later while the first goes on; time is an
 * argument. */
static void the_next_address_does_not_wait_for_a_silent_one(void **state)
{
    (void)state;
    fixture f;
    char peer[64];
    char expected[64];
    int stuck[STUCK_FDS];
    uint16_t open;
    uint16_t silent = stuck_port(stuck);
    int listener = net_listen("127.0.0.1", &open);
    set_up(&f);
    uint64_t before = tern__clock_us();
    start_at(&f, "fake", 1);
    tern__address addresses[] = {address_of("127.0.0.1", silent), address_of("127.0.0.1", open)};
    answer_fake(addresses, 2);
    uint64_t due = tern__race_deadline(f.attempt);
    assert_true(due >= before + 250000 && due <= tern__clock_us() + 250000);
    tern__race_tick(f.attempt, due - 1);
    assert_int_equal(tern__race_step(f.attempt, peer, sizeof peer), TERN_STEP_CONNECT);
    snprintf(expected, sizeof expected, "127.0.0.1:%u", (unsigned)silent);
    assert_string_equal(peer, expected);
    tern__race_tick(f.attempt, due);
    if (f.attempt != NULL) assert_true(tern__race_deadline(f.attempt) == UINT64_MAX);
    run(&f);
    check_works(&f, listener);
    tear_down(&f);
    unstick(stuck);
    close(listener);
}

/* The owner's timer is never set too late: while the name is being resolved it is asked to come
 * again. */
static void deadlines_only_move_later(void **state)
{
    (void)state;
    fixture f;
    int stuck[STUCK_FDS];
    uint16_t silent = stuck_port(stuck);
    set_up(&f);
    start_at(&f, "fake", 1);
    uint64_t first = tern__race_deadline(f.attempt);
    assert_true(first <= tern__clock_us() + 250000);
    tern__race_tick(f.attempt, first);
    assert_true(tern__race_deadline(f.attempt) == first + 250000);
    tern__race_tick(f.attempt, first + 1); /* early: changes nothing */
    assert_true(tern__race_deadline(f.attempt) == first + 250000);
    tern__race_cancel(f.attempt);
    assert_int_equal(fake.cancelled, 1);
    start_at(&f, "fake", 1);
    first = tern__race_deadline(f.attempt);
    tern__address addresses[] = {address_of("127.0.0.1", silent), address_of("127.0.0.1", silent)};
    answer_fake(addresses, 2);
    assert_true(tern__race_deadline(f.attempt) >= first);
    tern__race_cancel(f.attempt);
    assert_int_equal(f.calls, 0);
    tear_down(&f);
    unstick(stuck);
}

/* Families alternate (RFC 8305 section 4), so the last to fail is the second of the first family.
 */
static void families_take_turns_and_the_last_failure_speaks(void **state)
{
    (void)state;
    fixture f;
    char text[120];
    uint16_t port;
    uint16_t six;
    int listener = net_listen("::1", &six);
    if (listener < 0) skip();
    close(listener);
    int reserved = net_refusing_port(&port);
    set_up(&f);
    start_at(&f, "fake", 1);
    tern__address addresses[] = {address_of("::1", six), address_of("::1", port),
                                 address_of("127.0.0.1", port)};
    answer_fake(addresses, 3);
    run(&f);
    snprintf(text, sizeof text, "[::1]:%u: Connection refused (the last of 3 addresses)",
             (unsigned)port);
    check_refused(&f, text);
    tear_down(&f);
    close(reserved);
}

/* ---- giving up ---- */

static void gives_up_at_each_step(void **state)
{
    (void)state;
    static const char *const urls[] = {"mqtt://127.0.0.1:1", "mqtt://localhost:1",
                                       "mqtt://no-such-host.invalid", "unix:///nowhere"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        fixture f;
        unsigned woken;
        set_up(&f);
        start(&f, urls[i]);
        tern__race_cancel(f.attempt);
        assert_int_equal(tern__poller_wait(f.poller, 1000, &woken), 0);
        assert_int_equal(f.calls, 0);
        tear_down(&f);
    }
    tern__race_cancel(NULL);
}

static void gives_up_a_race(void **state)
{
    (void)state;
    fixture f;
    unsigned woken;
    int stuck[STUCK_FDS];
    uint16_t silent = stuck_port(stuck);
    set_up(&f);
    start_at(&f, "fake", 1);
    tern__address addresses[] = {address_of("127.0.0.1", silent), address_of("127.0.0.1", silent),
                                 address_of("127.0.0.1", silent)};
    answer_fake(addresses, 3);
    tern__race_tick(f.attempt, tern__race_deadline(f.attempt));
    assert_true(tern__race_deadline(f.attempt) != UINT64_MAX);
    tern__race_tick(f.attempt, tern__race_deadline(f.attempt));
    assert_true(tern__race_deadline(f.attempt) == UINT64_MAX);
    tern__race_cancel(f.attempt);
    assert_int_equal(tern__poller_wait(f.poller, 0, &woken), 0);
    assert_int_equal(woken, 0);
    assert_int_equal(f.calls, 0);
    tear_down(&f);
    unstick(stuck);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_a_tcp_stream),
        cmocka_unit_test(opens_an_ipv6_stream),
        cmocka_unit_test(a_refused_connection_names_peer_and_cause),
        cmocka_unit_test(an_unknown_name_fails_in_its_step),
        cmocka_unit_test(unix_sockets_open_and_fail),
        cmocka_unit_test(a_long_unix_path_fails_later),
        cmocka_unit_test(no_descriptors_is_a_system_error),
        cmocka_unit_test(the_next_address_follows_a_refused_one),
        cmocka_unit_test(the_next_address_does_not_wait_for_a_silent_one),
        cmocka_unit_test(deadlines_only_move_later),
        cmocka_unit_test(families_take_turns_and_the_last_failure_speaks),
        cmocka_unit_test(gives_up_at_each_step),
        cmocka_unit_test(gives_up_a_race),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
