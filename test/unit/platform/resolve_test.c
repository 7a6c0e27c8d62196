/* Name resolution: numbers, names, failures in words, cancelling and freeing while it runs.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <tern/error.h>

#include "platform/clock.h"
#include "platform/resolve.h"
#include "support/net.h"

typedef struct fixture {
    tern__poller *poller;
    tern__resolver *resolver;
} fixture;

typedef struct answer {
    unsigned calls;
    size_t count;
    tern__address addresses[8];
    char why[400];
    tern__lookup *cancel;           /* cancelled from within the callback, when set */
    tern__resolver **free_resolver; /* freed from within the callback, when set */
} answer;

static void on_answer(void *user_data, const tern__address *addresses, size_t count,
                      const char *why)
{
    answer *self = user_data;
    self->calls++;
    self->count = count;
    for (size_t i = 0; i < count && i < 8; i++)
        self->addresses[i] = addresses[i];
    snprintf(self->why, sizeof self->why, "%s", why != NULL ? why : "");
    tern__lookup_cancel(self->cancel);
    if (self->free_resolver != NULL) {
        tern__resolver_free(*self->free_resolver);
        *self->free_resolver = NULL;
    }
}

static void set_up(fixture *f)
{
    assert_int_equal(tern__poller_new(&f->poller, TERN_POLLER_DEFAULT), 0);
    assert_int_equal(tern__resolver_new(&f->resolver, f->poller), 0);
}

static void tear_down(fixture *f)
{
    tern__resolver_free(f->resolver);
    tern__poller_free(f->poller);
}

static tern__lookup *ask(const fixture *f, const char *host, uint16_t port, answer *a)
{
    tern__lookup *lookup = NULL;
    assert_int_equal(tern__lookup_start(&lookup, f->resolver, host, port, on_answer, a), 0);
    assert_non_null(lookup);
    assert_int_equal(a->calls, 0); /* never from within the call */
    return lookup;
}

static void await(const fixture *f, const answer *a)
{
    uint64_t deadline = tern__clock_us() + (uint64_t)NET_PATIENCE_MS * 3000;
    while (a->calls == 0 && tern__clock_us() < deadline) {
        unsigned woken;
        assert_int_equal(tern__poller_wait(f->poller, 100000, &woken), 0);
    }
    assert_int_equal(a->calls, 1);
}

static void numeric_addresses_are_answered_at_once(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        const char *text;
    } rows[] = {
        {"127.0.0.1", "127.0.0.1:1883"},
        {"::1", "[::1]:1883"},
        {"2001:db8::7", "[2001:db8::7]:1883"},
    };
    fixture f;
    set_up(&f);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        answer a = {0};
        unsigned woken;
        char text[80];
        (void)ask(&f, rows[i].host, 1883, &a);
        assert_int_equal(tern__poller_wait(f.poller, 0, &woken), 0); /* no thread, no waiting */
        assert_int_equal(a.calls, 1);
        assert_int_equal(a.count, 1);
        tern__address_text(&a.addresses[0], text, sizeof text);
        assert_string_equal(text, rows[i].text);
    }
    tear_down(&f);
}

static void localhost_is_found(void **state)
{
    (void)state;
    fixture f;
    answer a = {0};
    set_up(&f);
    (void)ask(&f, "localhost", 4242, &a);
    await(&f, &a);
    assert_true(a.count > 0);
    char text[80];
    tern__address_text(&a.addresses[0], text, sizeof text);
    assert_true(strcmp(text, "127.0.0.1:4242") == 0 || strcmp(text, "[::1]:4242") == 0);
    tear_down(&f);
}

static void a_name_that_cannot_exist_is_told_in_words(void **state)
{
    (void)state;
    fixture f;
    answer a = {0};
    set_up(&f);
    (void)ask(&f, "no-such-host.invalid", 1883, &a);
    await(&f, &a);
    assert_int_equal(a.count, 0);
    assert_memory_equal(a.why, "no-such-host.invalid: ", strlen("no-such-host.invalid: "));
    assert_true(strlen(a.why) > strlen("no-such-host.invalid: "));
    tear_down(&f);
}

/* Lookups of one name share the work; each gets its own port, and one that was cancelled gets
 * nothing. */
static void lookups_of_one_name_share_it(void **state)
{
    (void)state;
    enum { LOOKUPS = 200 };
    static answer answers[LOOKUPS];
    fixture f;
    set_up(&f);
    memset(answers, 0, sizeof answers);
    tern__lookup *dropped = NULL;
    for (uint16_t i = 0; i < LOOKUPS; i++) {
        tern__lookup *lookup = ask(&f, "localhost", (uint16_t)(1000 + i), &answers[i]);
        if (i == 50) dropped = lookup;
    }
    tern__lookup_cancel(dropped);
    await(&f, &answers[LOOKUPS - 1]);
    for (int i = 0; i < LOOKUPS; i++) {
        assert_int_equal(answers[i].calls, i == 50 ? 0 : 1);
        if (i == 50) continue;
        const tern__address *address = &answers[i].addresses[0];
        uint16_t port = address->storage.ss_family == AF_INET6
                            ? ((const struct sockaddr_in6 *)&address->storage)->sin6_port
                            : ((const struct sockaddr_in *)&address->storage)->sin_port;
        assert_int_equal(ntohs(port), 1000 + i);
    }
    tear_down(&f);
}

static void different_names_are_answered_each(void **state)
{
    (void)state;
    enum { LOOKUPS = 12 };
    static answer answers[LOOKUPS];
    fixture f;
    set_up(&f);
    memset(answers, 0, sizeof answers);
    for (int i = 0; i < LOOKUPS; i++) {
        char host[40];
        snprintf(host, sizeof host, "n%d.invalid", i);
        (void)ask(&f, host, 1, &answers[i]);
    }
    for (int i = 0; i < LOOKUPS; i++) {
        await(&f, &answers[i]);
        assert_int_equal(answers[i].count, 0);
    }
    tear_down(&f);
}

static void a_cancelled_lookup_is_silent(void **state)
{
    (void)state;
    fixture f;
    answer cancelled = {0};
    answer other = {0};
    set_up(&f);
    tern__lookup_cancel(NULL);
    tern__lookup_cancel(ask(&f, "cancelled.invalid", 1, &cancelled));
    (void)ask(&f, "localhost", 1, &other);
    await(&f, &other);
    assert_int_equal(cancelled.calls, 0);
    tear_down(&f);
}

static void one_callback_may_cancel_another(void **state)
{
    (void)state;
    fixture f;
    answer first = {0};
    answer second = {0};
    set_up(&f);
    (void)ask(&f, "127.0.0.1", 1, &first);
    first.cancel = ask(&f, "127.0.0.2", 1, &second);
    await(&f, &first);
    unsigned woken;
    assert_int_equal(tern__poller_wait(f.poller, 0, &woken), 0);
    assert_int_equal(second.calls, 0);
    tear_down(&f);
}

static void freeing_does_not_wait(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        fixture f;
        answer answers[6] = {{0}};
        set_up(&f);
        for (int i = 0; i < 6; i++) {
            char host[40];
            snprintf(host, sizeof host, "abandoned%d.invalid", i);
            (void)ask(&f, host, 1, &answers[i]);
        }
        tear_down(&f);
        for (int i = 0; i < 6; i++)
            assert_int_equal(answers[i].calls, 0);
    }
    tern__resolver_free(NULL);
}

static void a_callback_may_free_the_resolver(void **state)
{
    (void)state;
    fixture f;
    answer first = {.free_resolver = &f.resolver};
    answer shares_it = {0};
    answer later = {0};
    set_up(&f);
    (void)ask(&f, "127.0.0.1", 1, &first);
    (void)ask(&f, "127.0.0.1", 2, &shares_it);
    (void)ask(&f, "127.0.0.2", 1, &later);
    await(&f, &first);
    assert_null(f.resolver);
    assert_int_equal(shares_it.calls + later.calls, 0);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numeric_addresses_are_answered_at_once),
        cmocka_unit_test(localhost_is_found),
        cmocka_unit_test(a_name_that_cannot_exist_is_told_in_words),
        cmocka_unit_test(lookups_of_one_name_share_it),
        cmocka_unit_test(different_names_are_answered_each),
        cmocka_unit_test(a_cancelled_lookup_is_silent),
        cmocka_unit_test(one_callback_may_cancel_another),
        cmocka_unit_test(freeing_does_not_wait),
        cmocka_unit_test(a_callback_may_free_the_resolver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
