/* A broker in a thread of the test, built from our own codec: it routes messages and keeps sessions as a broker does, and
 * misbehaves where a test tells it to.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TEST_SUPPORT_MOCK_BROKER_H
#define TERN_TEST_SUPPORT_MOCK_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/packet.h"

typedef struct mock_broker mock_broker;
typedef struct mock_peer mock_peer; /* one connection; valid in a script only */

/* How it behaves; all zero is a good broker. May change any time. */
typedef struct mock_rules {
    int refuse;                 /* a CONNACK reason (a return code on 3.1.1) for each CONNECT; 0 accepts */
    bool only_v311;             /* refuses other versions as an old broker does: CONNACK 0x01 in 3.1.1's form */
    bool hang_up_on_v5;         /* closes after a CONNECT of MQTT 5 without any answer */
    bool hang_up_after_connack; /* accepts and closes at once */
    bool silent;                /* reads and answers nothing at all */
    bool deaf;                  /* does not even read */
    bool no_ping_response;
    bool no_acks;               /* no PUBACK, PUBREC, PUBREL, PUBCOMP */
    bool no_suback;
    bool forget;                /* sessions are lost at each CONNECT */
    uint8_t puback;             /* reason in PUBACK and PUBREC */
    uint8_t suback;             /* code for each filter where not 0; else what was asked for */
    uint8_t connack_props[64];  /* in wire form */
    size_t connack_props_len;
} mock_rules;

/* Called in the broker's thread for each packet, before anything else happens with it: true where that was all. */
typedef bool (*mock_script)(mock_broker *broker, mock_peer *peer, const tern__packet *packet, void *user_data);

/* What is counted: packets received by type (TERN__CONNECT ... TERN__AUTH), and these. */
enum { MOCK_ACCEPTED = 16, MOCK_OPEN, MOCK_ENDED, MOCK_COUNTS };

/* Listens on a free loopback port; NULL where that fails. */
mock_broker *mock_broker_new(void);
void mock_broker_free(mock_broker *broker);
const char *mock_broker_url(const mock_broker *broker);
uint16_t mock_broker_port(const mock_broker *broker);

void mock_broker_set_rules(mock_broker *broker, const mock_rules *rules);
void mock_broker_set_script(mock_broker *broker, mock_script script, void *user_data);
/* Refuses connections from now on, or accepts them again; those that are open stay. */
void mock_broker_listen(mock_broker *broker, bool listening);
/* Breaks every connection, with a reset. */
void mock_broker_cut(mock_broker *broker);
/* To every subscriber; from any thread. */
void mock_broker_publish(mock_broker *broker, const char *topic, const void *payload, size_t len, uint8_t qos);
/* Bytes as they are, to every connection. */
void mock_broker_send_raw(mock_broker *broker, const void *data, size_t len);

uint64_t mock_broker_count(mock_broker *broker, int what);
/* Until the count is at least (or, with `exactly`, just) this; false when the time was over first. */
bool mock_broker_wait(mock_broker *broker, int what, uint64_t count, int timeout_ms);
bool mock_broker_wait_exactly(mock_broker *broker, int what, uint64_t count, int timeout_ms);
/* The index-th message that was received first (repeats of QoS 2 do not count), as "topic=payload/qos", with "d" and "r" for
 * DUP and retain; false where there is none yet. */
bool mock_broker_message(mock_broker *broker, size_t index, char *text, size_t size);
size_t mock_broker_messages(mock_broker *broker);
/* The last CONNECT: its version (0 none yet), clean start, client id and session expiry. */
typedef struct mock_connect {
    int version;
    bool clean_start;
    uint16_t keep_alive;
    uint32_t session_expiry;
    char client_id[64];
    char user_name[64];
    char will_topic[64];
} mock_connect;
mock_connect mock_broker_last_connect(mock_broker *broker);

/* For scripts. */
void mock_send(mock_peer *peer, const tern__packet *packet);
void mock_send_raw(mock_peer *peer, const void *data, size_t len);
void mock_hang_up(mock_peer *peer); /* after what was sent */
int mock_version(const mock_peer *peer);

#endif
