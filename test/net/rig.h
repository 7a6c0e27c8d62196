/* A mock broker, a client with quick retries and what both saw: the ground that tests stand on.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TEST_NET_RIG_H
#define TERN_TEST_NET_RIG_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tern/tern.h>

#include "net/watch.h"
#include "support/mock_broker.h"

enum { RIG_CAPTURES = 4096 };

/* A packet as the broker received it, with bytes of its own behind the views. */
typedef struct captured {
    tern__packet packet;
    uint8_t *bytes;
} captured;

typedef struct rig {
    tern_version version;
    mock_broker *broker;
    tern_client_options *fixed;
    tern_connection_options *options;
    tern_client *client; /* NULL before rig_start() */
    watch watch;
    mock_script script; /* asked first; NULL where the broker is to be good */
    void *script_data;
    pthread_mutex_t lock;
    captured captures[RIG_CAPTURES];
    size_t capture_count;
} rig;

/* A broker and options for a persistent session; nothing is connected. The rig is large: static, or
 * in memory of its own. */
void rig_init(rig *r, tern_version version);
/* Makes the client of the options, and configures it. */
void rig_client(rig *r);
/* Connects and waits until that has happened, its event included. */
void rig_connect(rig *r);
/* Both. */
void rig_start(rig *r);
/* The script that sees packets before the broker does; they are kept either way. */
void rig_script(rig *r, mock_script script, void *user_data);
void rig_rules(rig *r, mock_rules rules);
/* Breaks the connection that there is (or comes) and waits until the client has noticed. */
void rig_cut(rig *r);
/* A subscription that the broker has answered: what was sent before has arrived. */
void rig_barrier(rig *r);
void rig_free(rig *r);

/* The index-th (from 0) packet of a type that the broker received; it must be there. */
tern__packet rig_packet(rig *r, uint8_t type, size_t index);
/* Of how many packets of the type. */
size_t rig_packets(rig *r, uint8_t type);
/* Its place among all packets that the broker received: what came first has the smaller one. */
size_t rig_position(rig *r, uint8_t type, size_t index);
/* Sends a packet to every connection of the broker. */
void rig_send(rig *r, const tern__packet *packet);

/* With a token, which must be asked for. */
tern_token *rig_publish(rig *r, const char *topic, const char *text, uint32_t flags);
tern_message *rig_message(const char *topic, const char *text, uint32_t flags);
/* As rig_publish(), of a message that is given away. */
tern_token *rig_publish_message(rig *r, tern_message *one);
/* Waits for the token of a publish, and releases it. */
void rig_expect_outcome(tern_token *token, tern_outcome outcome, tern_cause cause, int error);
/* The index-th message that the broker took is this, see mock_broker_message(). */
void rig_expect_message(rig *r, size_t index, const char *text);

/* The broker sends one to every client; id is 0 for QoS 0. */
void rig_send_publish(rig *r, const char *topic, const char *payload, uint8_t qos, uint16_t id,
                      bool dup);
/* "topic=payload/qos", with "d" and "r" for DUP and RETAIN. */
void rig_describe(const tern_message *message, char *text, size_t size);
/* What the client takes next is this. */
void rig_expect_received(rig *r, const char *want);

bool view_is(tern__view view, const char *text);
tern__view view_of(const char *text);

#endif
