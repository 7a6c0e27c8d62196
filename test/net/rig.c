/* A mock broker, a client with quick retries and what both saw.
 * SPDX-License-Identifier: Apache-2.0 */
#include "net/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "codec/decode.h"
#include "codec/encode.h"
#include "support/net.h"

/* The broker's buffer does not last: a copy in wire form, decoded again. */
static void keep(rig *r, mock_peer *peer, const tern__packet *packet)
{
    int version = mock_version(peer);
    size_t size = tern__encode_size(packet, version);
    uint8_t *bytes = malloc(size);
    tern__frame frame;
    tern__fault fault;
    tern__packet copy;
    if (bytes == NULL) abort();
    tern__encode(packet, version, bytes);
    int rc = tern__frame_peek(bytes, size, UINT32_MAX, version, TERN__FROM_CLIENT, &frame, &fault);
    if (rc == 0)
        rc = tern__decode(bytes, &frame, version, TERN__FROM_CLIENT, &copy, NULL, &fault);
    if (rc != 0) abort(); /* what was decoded once can be decoded again */
    pthread_mutex_lock(&r->lock);
    if (r->capture_count == RIG_CAPTURES) abort();
    r->captures[r->capture_count++] = (captured){copy, bytes};
    pthread_mutex_unlock(&r->lock);
}

static bool capture(mock_broker *broker, mock_peer *peer, const tern__packet *packet,
                    void *user_data)
{
    rig *r = user_data;
    keep(r, peer, packet);
    pthread_mutex_lock(&r->lock);
    mock_script script = r->script;
    void *data = r->script_data;
    pthread_mutex_unlock(&r->lock);
    return script != NULL && script(broker, peer, packet, data);
}

void rig_init(rig *r, tern_version version)
{
    memset(r, 0, sizeof *r);
    r->version = version;
    pthread_mutex_init(&r->lock, NULL);
    r->broker = mock_broker_new();
    assert_non_null(r->broker);
    assert_int_equal(tern_client_options_new(&r->fixed), 0);
    assert_int_equal(tern_client_options_set_client_id(r->fixed, "rig"), 0);
    assert_int_equal(tern_connection_options_new(&r->options), 0);
    assert_int_equal(tern_connection_options_add_server(r->options, mock_broker_url(r->broker)), 0);
    assert_int_equal(tern_connection_options_set_version(r->options, version), 0);
    assert_int_equal(
        tern_connection_options_set_session(r->options, TERN_SESSION_PERSISTENT, 3600), 0);
    assert_int_equal(tern_connection_options_set_retry_delay(r->options, 5, 20, TERN_JITTER_FULL),
                     0);
}

void rig_script(rig *r, mock_script script, void *user_data)
{
    pthread_mutex_lock(&r->lock);
    r->script = script;
    r->script_data = user_data;
    pthread_mutex_unlock(&r->lock);
}

void rig_rules(rig *r, mock_rules rules)
{
    mock_broker_set_rules(r->broker, &rules);
}

void rig_client(rig *r)
{
    mock_broker_set_script(r->broker, capture, r);
    assert_int_equal(tern_client_new(&r->client, r->fixed), 0);
    watch_init(&r->watch, r->client);
    assert_int_equal(tern_client_configure(r->client, r->options), 0);
}

void rig_connect(rig *r)
{
    uint64_t before = watch_count(&r->watch, TERN_EVENT_CONNECTED);
    assert_int_equal(tern_client_connect_wait(r->client, NET_PATIENCE_MS), 0);
    assert_true(watch_wait(&r->watch, TERN_EVENT_CONNECTED, before + 1, NET_PATIENCE_MS));
}

void rig_start(rig *r)
{
    rig_client(r);
    rig_connect(r);
}

void rig_cut(rig *r)
{
    uint64_t before = watch_count(&r->watch, TERN_EVENT_DISCONNECTED);
    assert_true(watch_wait(&r->watch, TERN_EVENT_CONNECTED, before + 1, NET_PATIENCE_MS));
    mock_broker_cut(r->broker);
    assert_true(watch_wait(&r->watch, TERN_EVENT_DISCONNECTED, before + 1, NET_PATIENCE_MS));
}

void rig_barrier(rig *r)
{
    assert_int_equal(
        tern_client_subscribe_wait(r->client, "rig/barrier", TERN_QOS_0, NET_PATIENCE_MS), 0);
}

void rig_free(rig *r)
{
    tern_client_free(r->client);
    tern_client_options_free(r->fixed);
    tern_connection_options_free(r->options);
    mock_broker_free(r->broker);
    if (r->client != NULL) watch_deinit(&r->watch);
    for (size_t i = 0; i < r->capture_count; i++) free(r->captures[i].bytes);
    pthread_mutex_destroy(&r->lock);
}

size_t rig_position(rig *r, uint8_t type, size_t index)
{
    size_t at = 0;
    pthread_mutex_lock(&r->lock);
    while (at < r->capture_count && (r->captures[at].packet.type != type || index-- != 0)) at++;
    bool there = at < r->capture_count;
    pthread_mutex_unlock(&r->lock);
    assert_true(there);
    return at;
}

tern__packet rig_packet(rig *r, uint8_t type, size_t index)
{
    size_t at = rig_position(r, type, index);
    pthread_mutex_lock(&r->lock);
    tern__packet found = r->captures[at].packet;
    pthread_mutex_unlock(&r->lock);
    return found;
}

size_t rig_packets(rig *r, uint8_t type)
{
    size_t count = 0;
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->capture_count; i++) count += r->captures[i].packet.type == type;
    pthread_mutex_unlock(&r->lock);
    return count;
}

void rig_send(rig *r, const tern__packet *packet)
{
    size_t size = tern__encode_size(packet, (int)r->version);
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    tern__encode(packet, (int)r->version, bytes);
    mock_broker_send_raw(r->broker, bytes, size);
    free(bytes);
}

tern_token *rig_publish(rig *r, const char *topic, const char *text, uint32_t flags)
{
    tern_token *token = NULL;
    assert_int_equal(
        tern_client_publish_token(r->client, topic, text, strlen(text), flags, &token), 0);
    return token;
}

void rig_expect_outcome(tern_token *token, tern_outcome outcome, tern_cause cause, int error)
{
    assert_int_equal(tern_token_wait(token, NET_PATIENCE_MS), error);
    assert_int_equal(tern_token_done(token), 1);
    assert_int_equal(tern_token_outcome(token), outcome);
    assert_int_equal(tern_token_cause(token), cause);
    assert_int_equal(tern_token_error(token), error);
    tern_token_unref(token);
}

tern_message *rig_message(const char *topic, const char *text, uint32_t flags)
{
    tern_message *made = NULL;
    assert_int_equal(tern_message_new(&made, topic, text, strlen(text), flags), 0);
    return made;
}

tern_token *rig_publish_message(rig *r, tern_message *one)
{
    tern_token *token = NULL;
    assert_int_equal(tern_client_publish_message(r->client, one, NULL, &token), 0);
    tern_message_unref(one);
    return token;
}

void rig_expect_message(rig *r, size_t index, const char *text)
{
    char got[128];
    assert_true(mock_broker_message(r->broker, index, got, sizeof got));
    assert_string_equal(got, text);
}

void rig_describe(const tern_message *message, char *text, size_t size)
{
    snprintf(text, size, "%s=%s/%d%s%s", tern_message_topic(message), tern_message_text(message),
             tern_message_qos(message), tern_message_duplicate(message) ? "d" : "",
             tern_message_retained(message) ? "r" : "");
}

void rig_send_publish(rig *r, const char *topic, const char *payload, uint8_t qos, uint16_t id,
                      bool dup)
{
    tern__packet packet = {.type = TERN__PUBLISH};
    packet.u.publish = (tern__publish_packet){.dup = dup,
                                              .qos = qos,
                                              .packet_id = id,
                                              .topic = view_of(topic),
                                              .payload = view_of(payload)};
    rig_send(r, &packet);
}

void rig_expect_received(rig *r, const char *want)
{
    char text[80];
    tern_message *message = NULL;
    assert_int_equal(tern_client_receive_wait(r->client, &message, NET_PATIENCE_MS), 0);
    rig_describe(message, text, sizeof text);
    assert_string_equal(text, want);
    tern_message_unref(message);
}

bool view_is(tern__view view, const char *text)
{
    return view.len == strlen(text) && (view.len == 0 || memcmp(view.data, text, view.len) == 0);
}

tern__view view_of(const char *text)
{
    return (tern__view){(const uint8_t *)text, strlen(text)};
}
