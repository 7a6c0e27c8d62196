/* A broker that breaks the protocol on a real connection: it reads why in our DISCONNECT, sees the
 * link closed, and the client comes back with all that it had. [C17]
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <tern/tern.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "net/watch.h"
#include "support/mock_broker.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS };

typedef struct rig {
    mock_broker *broker;
    tern_client *client;
    watch w;
    atomic_int goodbye; /* the reason in the last DISCONNECT that the broker read */
    atomic_uint messages;
} rig;

static bool note_goodbye(mock_broker *broker, mock_peer *peer, const tern__packet *packet,
                         void *user_data)
{
    (void)broker;
    (void)peer;
    rig *r = user_data;
    if (packet->type == TERN__DISCONNECT) atomic_store(&r->goodbye, packet->u.reason.reason);
    return false;
}

static void count_message(tern_client *client, const tern_message *message, void *user_data)
{
    (void)client;
    (void)message;
    rig *r = user_data;
    atomic_fetch_add(&r->messages, 1);
}

static void rig_init(rig *r, tern_version version)
{
    tern_connection_options *options = NULL;
    tern_client_options *fixed = NULL;
    memset(r, 0, sizeof *r);
    r->broker = mock_broker_new();
    assert_non_null(r->broker);
    mock_broker_set_script(r->broker, note_goodbye, r);
    assert_int_equal(tern_client_options_new(&fixed), 0);
    assert_int_equal(tern_client_options_set_client_id(fixed, "rogue"), 0);
    assert_int_equal(tern_client_options_set_maximum_packet_size(fixed, 1000), 0);
    assert_int_equal(tern_client_options_set_receive_maximum(fixed, 1), 0);
    assert_int_equal(tern_client_options_set_ack(fixed, TERN_ACK_MANUAL), 0);
    assert_int_equal(tern_client_new(&r->client, fixed), 0);
    tern_client_options_free(fixed);
    assert_int_equal(tern_connection_options_new(&options), 0);
    assert_int_equal(tern_connection_options_add_server(options, mock_broker_url(r->broker)), 0);
    assert_int_equal(tern_connection_options_set_version(options, version), 0);
    assert_int_equal(tern_connection_options_set_session(options, TERN_SESSION_PERSISTENT, 3600),
                     0);
    assert_int_equal(tern_connection_options_set_retry_delay(options, 1, 5, TERN_JITTER_NONE), 0);
    assert_int_equal(tern_client_configure(r->client, options), 0);
    tern_connection_options_free(options);
    watch_init(&r->w, r->client);
    assert_int_equal(tern_client_set_message_handler(r->client, count_message, r), 0);
    assert_int_equal(tern_client_connect_wait(r->client, PATIENCE), 0);
}

static void rig_free(rig *r)
{
    tern_client_free(r->client);
    watch_deinit(&r->w);
    mock_broker_free(r->broker);
}

typedef struct row {
    const char *bytes;
    size_t len;
    int reason;
} row;

#define ROW(bytes, reason)                                                                         \
    {                                                                                              \
        bytes, sizeof(bytes) - 1, reason                                                           \
    }

/* One breach, from a connection that is up to the next that is up. */
static void breach(rig *r, const row *breach, uint64_t n, bool v5)
{
    const uint64_t ended = mock_broker_count(r->broker, MOCK_ENDED);
    atomic_store(&r->goodbye, -1);
    mock_broker_send_raw(r->broker, breach->bytes, breach->len);
    assert_true(watch_wait(&r->w, TERN_EVENT_DISCONNECTED, n, PATIENCE));
    const watch_record told = watch_nth(&r->w, TERN_EVENT_DISCONNECTED, n);
    assert_true(told.error == TERN_E_MALFORMED || told.error == TERN_E_PROTOCOL);
    assert_int_equal(told.reason, v5 ? breach->reason : -1);
    assert_int_equal(told.step, TERN_STEP_SESSION);
    assert_non_null(strstr(told.text, "offset "));
    assert_non_null(strchr(told.text, '['));
    assert_true(told.retry_delay >= 0 && told.retry_delay <= 5); /* it is tried again */
    assert_true(mock_broker_wait(r->broker, MOCK_ENDED, ended + 1, PATIENCE)); /* we closed it */
    assert_int_equal(atomic_load(&r->goodbye), v5 ? breach->reason : -1);
    assert_true(watch_wait(&r->w, TERN_EVENT_CONNECTED, n + 1, PATIENCE));
}

/* Code seen by the broker, then the end; nothing of it is delivered; the client comes back and what
 * was in flight ends well. [MQTT5-4.13.1-1] [MQTT311-4.8.0-1] */
static void every_breach_is_survived(void **state)
{
    (void)state;
    static const row v5[] = {
        ROW("\0\0", 0x81),                                 /* type 0 */
        ROW("\xd1\0", 0x81),                               /* flags */
        ROW("\x30\x80\x80\x80\x80", 0x81),                 /* a length of five bytes */
        ROW("\x30\5\0\2\xc3\x28\0", 0x81),                 /* no UTF-8 */
        ROW("\x30\5\0\2a+\0", 0x90),                       /* a wildcard */
        ROW("\x20\3\0\0\0", 0x82),                         /* a second CONNACK */
        ROW("\xc0\0", 0x82),                               /* a PINGREQ */
        ROW("\xf0\0", 0x82),                               /* AUTH */
        ROW("\x40\2\0\0", 0x82),                           /* id 0 */
        ROW("\x30\7\0\1a\3\x23\0\1", 0x94),                /* an alias where we take none */
        ROW("\x30\xe9\7", 0x95),                           /* larger than we take */
        ROW("\x32\6\0\1a\0\7\0\x32\6\0\1a\0\x08\0", 0x93), /* one more than our receive maximum */
    };
    static const row v311[] = {
        ROW("\0\0", 0x81),   ROW("\xd1\0", 0x81),     ROW("\x30\4\0\2\xc3\x28", 0x81),
        ROW("\xe0\0", 0x82), ROW("\x20\2\0\0", 0x82), ROW("\x30\xe9\7", 0x95),
    };
    for (int version = TERN_VERSION_311; version <= TERN_VERSION_5; version++) {
        const bool is_v5 = version == TERN_VERSION_5;
        const row *rows = is_v5 ? v5 : v311;
        const size_t count = is_v5 ? sizeof v5 / sizeof v5[0] : sizeof v311 / sizeof v311[0];
        rig r;
        rig_init(&r, (tern_version)version);
        for (size_t i = 0; i < count; i++) {
            tern_token *token = NULL;
            const bool last = i + 1 == count;
            mock_broker_set_rules(r.broker, &(mock_rules){.no_acks = true});
            const uint64_t publishes = mock_broker_count(r.broker, TERN__PUBLISH);
            assert_int_equal(tern_client_publish_token(r.client, "t", "x", 1, TERN_QOS_1, &token),
                             0);
            assert_true(mock_broker_wait(r.broker, TERN__PUBLISH, publishes + 1, PATIENCE));
            mock_broker_set_rules(r.broker, &(mock_rules){.no_acks = false});
            breach(&r, &rows[i], i + 1, is_v5);
            assert_int_equal(tern_token_wait(token, PATIENCE), 0); /* it was in flight [C6] */
            tern_token_unref(token);
            assert_int_equal(atomic_load(&r.messages), last && is_v5 ? 1 : 0);
        }
        rig_free(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_breach_is_survived)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
