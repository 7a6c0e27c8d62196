/* The mock broker from inside: what its two files share. mock_broker.c has the thread and the surface, mock_packets.c what
 * packets do.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TEST_SUPPORT_MOCK_INSIDE_H
#define TERN_TEST_SUPPORT_MOCK_INSIDE_H

#include <pthread.h>

#include "support/mock_broker.h"

typedef struct bytes {
    uint8_t *data;
    size_t len;
    size_t cap;
} bytes;

/* A message on its way to a session. */
typedef struct parcel {
    struct parcel *next;
    uint16_t id; /* 0: not sent yet */
    uint8_t qos;
    bool released; /* PUBREC came */
    char *topic;
    size_t len;
    uint8_t payload[];
} parcel;

typedef struct wish {
    struct wish *next;
    uint8_t qos;
    char filter[]; /* without $share/group/ */
} wish;

typedef struct session {
    struct session *next;
    char client_id[64];
    bool ends; /* with its connection */
    bool held[65536];
    uint16_t last_id;
    wish *wishes;
    parcel *parcels; /* QoS 1 and 2, oldest first */
} session;

struct mock_peer {
    mock_broker *broker;
    int fd;
    int version; /* 0 before CONNECT */
    bool hang_up;
    session *session;
    bytes in;
    bytes out;
};

struct mock_broker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int wake[2];
    int listener;
    bool listening; /* else connections are refused: the socket is bound, and no more */
    bool should_listen;
    uint16_t port;
    char url[64];
    bool stopping;
    bool cut;
    mock_rules rules;
    mock_script script;
    void *script_data;
    mock_peer **peers;
    size_t peer_count;
    session *sessions;
    uint64_t counts[MOCK_COUNTS];
    char **messages;
    size_t message_count;
    mock_connect last_connect;
};

void mock__append(bytes *b, const void *data, size_t len);
void mock__count_locked(mock_broker *broker, int what, int64_t by);
/* A session forgets everything. */
void mock__session_clear(session *s);
/* To every subscriber. */
void mock__route_locked(mock_broker *broker, const char *topic, const void *payload, size_t len, uint8_t qos);
/* Handles the whole packets that are there. False: the input is not MQTT. */
bool mock__take_packets(mock_peer *peer);

#endif
