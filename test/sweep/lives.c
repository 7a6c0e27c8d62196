/* Lives, and sweeps over them.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "lives.h"

void life_on_delivery(tern_client *client, const tern_delivery *delivery, void *user_data)
{
    (void)client;
    atomic_fetch_add(&((life *)user_data)->told, (int)tern_delivery_count(delivery));
}

void life_on_message(tern_client *client, const tern_message *message, void *user_data)
{
    tern_message *copy = NULL;
    (void)client;
    if (tern_message_keep(message, &copy) == 0) tern_message_unref(copy);
    atomic_fetch_add(&((life *)user_data)->received, 1);
}

int life_connection_options(tern_connection_options **options, const char *url)
{
    tern_message *will = NULL;
    int rc = tern_connection_options_new(options);
    if (rc == 0) rc = tern_connection_options_add_server(*options, url);
    if (rc == 0) rc = tern_connection_options_set_credentials(*options, "user", "password", 8);
    if (rc == 0) rc = tern_connection_options_set_retry_delay(*options, 1, 2, TERN_JITTER_NONE);
    if (rc == 0) rc = tern_message_new(&will, "will", "gone", 4, TERN_QOS_1);
    if (rc == 0) rc = tern_connection_options_set_will(*options, will, 5);
    tern_message_unref(will);
    if (rc == 0) return 0;
    tern_connection_options_free(*options);
    *options = NULL;
    return rc;
}

int life_configure(tern_client *client, const char *url)
{
    tern_connection_options *options = NULL;
    int rc = life_connection_options(&options, url);
    if (rc == 0) rc = tern_client_configure(client, options);
    tern_connection_options_free(options);
    return rc;
}

/* The mock broker uses the library's buffers too, in its own thread: that is not what is tried. */
static bool exempt_broker(mock_broker *broker, mock_peer *peer, const tern__packet *packet, void *user_data)
{
    (void)broker;
    (void)peer;
    (void)packet;
    (void)user_data;
    allocations_exempt_thread(); /* from its first packet on */
    return false;
}

void sweep_lives(void (*lived)(mock_broker *broker, life *l))
{
    long n = 0;
    bool failed = true;
    for (; failed; n++) {
        life l = {0};
        mock_broker *broker = mock_broker_new();
        assert_non_null(broker);
        mock_broker_set_script(broker, exempt_broker, NULL);
        allocations_arm(n);
        lived(broker, &l);
        failed = allocations_disarm();
        mock_broker_free(broker);
        assert_true(n < 10000);
    }
    assert_true(n > 50); /* it was a whole life */
}
