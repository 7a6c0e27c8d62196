/* Both pollers through the same table of tests.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <tern/error.h>
#include <unistd.h>

#include "base/list.h"
#include "platform/clock.h"
#include "platform/poller.h"
#include "platform/thread.h"
#include "platform/wake.h"
#include "support/net.h"

static const tern_poller kinds[] = {TERN_POLLER_DEFAULT, TERN_POLLER_EPOLL, TERN_POLLER_POLL};

/* A source over one end of a socket pair, which counts what it is told. */
typedef struct probe {
    tern__source source;
    int fd;
    int peer;
    unsigned calls;
    unsigned events;
    uint64_t now;
    tern__poller *poller;
    struct probe *victim; /* removed from within ready, when set */
    struct probe *added;  /* added from within ready, when set */
} probe;

static void on_ready(tern__source *source, unsigned events, uint64_t now)
{
    probe *self = TERN__CONTAINER(source, probe, source);
    self->calls++;
    self->events = events;
    self->now = now;
    if (self->victim != NULL) tern__poller_remove(self->poller, self->victim->fd);
    if (self->added != NULL)
        assert_int_equal(
            tern__poller_add(self->poller, self->added->fd, TERN__READY_READ, &self->added->source),
            0);
    self->added = NULL;
}

static void open_probe(probe *self, tern__poller *poller)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    *self = (probe){.source.ready = on_ready, .fd = ends[0], .peer = ends[1], .poller = poller};
}

static void close_probe(probe *self)
{
    tern__poller_remove(self->poller, self->fd);
    close(self->fd);
    if (self->peer >= 0) close(self->peer);
}

static tern__poller *new_poller(void **state)
{
    tern__poller *poller = NULL;
    assert_int_equal(tern__poller_new(&poller, *(const tern_poller *)*state), 0);
    assert_non_null(poller);
    return poller;
}

static unsigned look(tern__poller *poller)
{
    unsigned woken = 99;
    assert_int_equal(tern__poller_wait(poller, 0, &woken), 0);
    return woken;
}

static void tells_what_is_ready(void **state)
{
    tern__poller *poller = new_poller(state);
    probe p;
    open_probe(&p, poller);
    assert_int_equal(tern__poller_add(poller, p.fd, TERN__READY_READ, &p.source), 0);
    assert_int_equal(look(poller), 0);
    assert_int_equal(write(p.peer, "x", 1), 1);
    uint64_t before = tern__clock_us();
    assert_int_equal(look(poller), 1);
    assert_int_equal(p.events, TERN__READY_READ);
    assert_true(p.now >= before && p.now <= tern__clock_us());
    assert_int_equal(look(poller), 1); /* level-triggered */
    assert_int_equal(tern__poller_modify(poller, p.fd, TERN__READY_WRITE, &p.source), 0);
    assert_int_equal(look(poller), 1);
    assert_int_equal(p.events, TERN__READY_WRITE);
    assert_int_equal(
        tern__poller_modify(poller, p.fd, TERN__READY_READ | TERN__READY_WRITE, &p.source), 0);
    assert_int_equal(look(poller), 1);
    assert_int_equal(p.events, TERN__READY_READ | TERN__READY_WRITE);
    assert_int_equal(tern__poller_modify(poller, p.fd, 0, &p.source), 0);
    assert_int_equal(look(poller), 0);
    close_probe(&p);
    tern__poller_free(poller);
}

static void tells_the_peers_end_without_interest(void **state)
{
    tern__poller *poller = new_poller(state);
    probe p;
    open_probe(&p, poller);
    assert_int_equal(tern__poller_add(poller, p.fd, 0, &p.source), 0);
    assert_int_equal(look(poller), 0);
    close(p.peer);
    p.peer = -1;
    assert_int_equal(look(poller), 1);
    assert_int_equal(p.events, TERN__READY_ERROR);
    close_probe(&p);
    tern__poller_free(poller);
}

static void a_changed_source_is_told_instead(void **state)
{
    tern__poller *poller = new_poller(state);
    probe first;
    probe second = {.source.ready = on_ready};
    open_probe(&first, poller);
    assert_int_equal(tern__poller_add(poller, first.fd, TERN__READY_WRITE, &first.source), 0);
    assert_int_equal(tern__poller_modify(poller, first.fd, TERN__READY_WRITE, &second.source), 0);
    assert_int_equal(look(poller), 1);
    assert_int_equal(first.calls, 0);
    assert_int_equal(second.calls, 1);
    close_probe(&first);
    tern__poller_free(poller);
}

static void refuses_what_cannot_be_watched(void **state)
{
    tern__poller *poller = new_poller(state);
    probe p;
    open_probe(&p, poller);
    assert_int_equal(tern__poller_add(poller, -1, TERN__READY_READ, &p.source), TERN_E_SYSTEM);
    assert_int_equal(tern__poller_modify(poller, p.fd, TERN__READY_READ, &p.source), TERN_E_SYSTEM);
    assert_int_equal(tern__poller_modify(poller, 5000, TERN__READY_READ, &p.source), TERN_E_SYSTEM);
    assert_int_equal(tern__poller_add(poller, p.fd, TERN__READY_READ, &p.source), 0);
    assert_int_equal(tern__poller_add(poller, p.fd, TERN__READY_READ, &p.source), TERN_E_SYSTEM);
    assert_int_equal(write(p.peer, "x", 1), 1);
    assert_int_equal(look(poller), 1); /* the refused add left the first one as it was */
    assert_int_equal(p.calls, 1);
    tern__poller_remove(poller, 5000);
    tern__poller_remove(poller, -1);
    close_probe(&p);
    tern__poller_free(poller);
}

enum { MANY = 50 };

/* Each of the ready sources removes another one that is ready too: exactly half of them are called.
 */
static void removing_from_within_ready_is_safe(void **state)
{
    tern__poller *poller = new_poller(state);
    probe all[MANY];
    for (int i = 0; i < MANY; i++) {
        open_probe(&all[i], poller);
        assert_int_equal(tern__poller_add(poller, all[i].fd, TERN__READY_WRITE, &all[i].source), 0);
    }
    for (int i = 0; i < MANY; i++)
        all[i].victim = &all[i ^ 1];
    assert_int_equal(look(poller), MANY / 2);
    for (int i = 0; i < MANY; i += 2)
        assert_int_equal(all[i].calls + all[i + 1].calls, 1);
    assert_int_equal(look(poller), MANY / 2);
    for (int i = 0; i < MANY; i += 2)
        assert_true(all[i].calls + all[i + 1].calls == 2 && all[i].calls != 1);
    for (int i = 0; i < MANY; i++)
        close_probe(&all[i]);
    tern__poller_free(poller);
}

static void a_source_may_remove_itself(void **state)
{
    tern__poller *poller = new_poller(state);
    probe all[MANY];
    for (int i = 0; i < MANY; i++) {
        open_probe(&all[i], poller);
        all[i].victim = &all[i];
        assert_int_equal(tern__poller_add(poller, all[i].fd, TERN__READY_WRITE, &all[i].source), 0);
    }
    assert_int_equal(look(poller), MANY);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(all[i].calls, 1);
    assert_int_equal(look(poller), 0);
    for (int i = 0; i < MANY; i++)
        close_probe(&all[i]);
    tern__poller_free(poller);
}

/* Two sources remove each other; the one called first puts the other descriptor back for a
 * newcomer. */
static void a_reused_descriptor_waits_for_its_own_round(void **state)
{
    tern__poller *poller = new_poller(state);
    probe pair[2];
    for (int i = 0; i < 2; i++) {
        open_probe(&pair[i], poller);
        assert_int_equal(write(pair[i].peer, "x", 1), 1);
        assert_int_equal(tern__poller_add(poller, pair[i].fd, TERN__READY_READ, &pair[i].source),
                         0);
    }
    probe newcomers[2] = {pair[0], pair[1]};
    for (int i = 0; i < 2; i++) {
        pair[i].victim = &pair[1 - i];
        pair[i].added = &newcomers[1 - i];
    }
    assert_int_equal(look(poller), 1);
    assert_int_equal(pair[0].calls + pair[1].calls, 1);
    assert_int_equal(newcomers[0].calls + newcomers[1].calls, 0);
    for (int i = 0; i < 2; i++)
        pair[i].victim = NULL;
    assert_int_equal(look(poller), 2);
    assert_int_equal(newcomers[0].calls + newcomers[1].calls, 1);
    for (int i = 0; i < 2; i++)
        close_probe(&pair[i]);
    tern__poller_free(poller);
}

static void keeps_short_and_long_timeouts(void **state)
{
    static const int64_t timeouts[] = {1, 100, 999, 1000, 1500, 20000};
    tern__poller *poller = new_poller(state);
    for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++) {
        unsigned woken = 99;
        uint64_t start = tern__clock_us();
        assert_int_equal(tern__poller_wait(poller, timeouts[i], &woken), 0);
        uint64_t took = tern__clock_us() - start;
        assert_int_equal(woken, 0);
        assert_true(took + 1 >= (uint64_t)timeouts[i]); /* never early */
        assert_true(took < 2000000u);
    }
    tern__poller_free(poller);
}

static void signal_it(void *argument)
{
    tern__wake_signal(argument);
}

static void waits_for_ever_until_woken(void **state)
{
    tern__poller *poller = new_poller(state);
    tern__wake wake;
    probe p = {.source.ready = on_ready};
    tern__thread thread;
    unsigned woken = 0;
    assert_int_equal(tern__wake_init(&wake), 0);
    assert_int_equal(tern__poller_add(poller, wake.read_fd, TERN__READY_READ, &p.source), 0);
    assert_int_equal(tern__thread_start(&thread, "waker", signal_it, &wake), 0);
    assert_int_equal(tern__poller_wait(poller, -1, &woken), 0);
    assert_int_equal(woken, 1);
    tern__thread_join(&thread);
    tern__poller_remove(poller, wake.read_fd);
    tern__wake_deinit(&wake);
    tern__poller_free(poller);
}

static void takes_descriptors_over_1024(void **state)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max < 8192 ? limit.rlim_max : 8192;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < 4000) skip();
    tern__poller *poller = new_poller(state);
    probe p;
    open_probe(&p, poller);
    int high = fcntl(p.fd, F_DUPFD_CLOEXEC, 3500);
    assert_true(high >= 3500);
    close(p.fd);
    p.fd = high;
    assert_int_equal(tern__poller_add(poller, high, TERN__READY_READ, &p.source), 0);
    assert_int_equal(look(poller), 0);
    assert_int_equal(write(p.peer, "x", 1), 1);
    assert_int_equal(look(poller), 1);
    close_probe(&p);
    tern__poller_free(poller);
}

static void knows_its_kinds(void **state)
{
    (void)state;
    tern__poller *poller = (tern__poller *)&poller;
    assert_int_equal(tern__poller_new(&poller, (tern_poller)77), TERN_E_UNSUPPORTED);
    assert_null(poller);
    tern__poller_free(NULL);
}

#define EACH_KIND(test)                                                                            \
    cmocka_unit_test_prestate(test, (void *)(uintptr_t)&kinds[0]),                                 \
        cmocka_unit_test_prestate(test, (void *)(uintptr_t)&kinds[1]),                             \
        cmocka_unit_test_prestate(test, (void *)(uintptr_t)&kinds[2])

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH_KIND(tells_what_is_ready),
        EACH_KIND(tells_the_peers_end_without_interest),
        EACH_KIND(a_changed_source_is_told_instead),
        EACH_KIND(refuses_what_cannot_be_watched),
        EACH_KIND(removing_from_within_ready_is_safe),
        EACH_KIND(a_source_may_remove_itself),
        EACH_KIND(a_reused_descriptor_waits_for_its_own_round),
        EACH_KIND(keeps_short_and_long_timeouts),
        EACH_KIND(waits_for_ever_until_woken),
        EACH_KIND(takes_descriptors_over_1024),
        cmocka_unit_test(knows_its_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
