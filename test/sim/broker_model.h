/* A broker written from the specification, with an encoder and a decoder of its own. It keeps sessions, routes, redelivers,
 * refuses at times, and polices every client: whatever a client must not send is a breach.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TEST_SIM_BROKER_MODEL_H
#define TERN_TEST_SIM_BROKER_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/random.h"

enum { BROKER_CLIENTS = 4, BROKER_IDS = 4096 /* packet ids, more than a simulation uses */ };

/* A message in the simulation is "publisher:index:qos", so everybody knows it again. */
typedef struct broker_key {
    uint32_t publisher;
    uint32_t index; /* from 1, in the order in which they were accepted */
    uint8_t qos;    /* at which it was published */
} broker_key;

typedef struct broker_bytes {
    uint8_t *data;
    size_t len;
    size_t cap;
} broker_bytes;

/* How it answers, in percent of the chances. */
typedef struct broker_mood {
    uint32_t refuse_connect;
    uint32_t refuse_publish;
    uint32_t refuse_subscribe;
    uint32_t disconnect; /* a DISCONNECT of its own, for each packet */
    uint32_t hang_up;    /* without a word, for each packet */
    uint16_t receive_maximum; /* announced on MQTT 5; 0 none */
    uint32_t maximum_packet_size; /* 0 none */
} broker_mood;

/* What it tells the oracle. */
typedef struct broker_watch {
    void *data;
    void (*breach)(void *data, const char *clause, const char *what);
    /* A PUBLISH of a client came whole. `copy`: it counts as a new copy (no repeat of an open QoS 2 handshake). */
    void (*arrived)(void *data, uint32_t client, broker_key key, bool dup, bool copy, bool refused);
    /* The broker has sent all that makes a QoS 1 or 2 message delivered (PUBACK, PUBCOMP), or refused it. */
    void (*answered)(void *data, uint32_t client, broker_key key, bool refused);
    /* A PUBLISH was put on the wire for a client for the first time in its session. */
    void (*routed)(void *data, uint32_t client, broker_key key, uint8_t qos);
    void (*connected)(void *data, uint32_t client, bool session_present);
    void (*filters)(void *data, uint32_t client, uint32_t count); /* of a SUBSCRIBE */
    void (*subscribed)(void *data, uint32_t client, bool granted); /* to what is routed, "to/#" */
} broker_watch;

typedef struct broker_model broker_model;

broker_model *broker_new(sim_random *random, const broker_watch *watch);
void broker_free(broker_model *b);
void broker_set_mood(broker_model *b, const broker_mood *mood);
/* From now on it does what it should; what it announces stays. `mute`: but for PUBLISH of QoS 1 and 2, which it ignores. */
void broker_calm(broker_model *b, bool mute);

/* A client's transport came, brought bytes (false: the broker closes it), went. */
void broker_accept(broker_model *b, uint32_t client, int version);
bool broker_receive(broker_model *b, uint32_t client, const uint8_t *data, size_t len);
void broker_gone(broker_model *b, uint32_t client);
/* Bytes for the client; the caller takes from the front. */
broker_bytes *broker_output(broker_model *b, uint32_t client);
/* It wants to close once the output is out. */
bool broker_closing(const broker_model *b, uint32_t client);

/* The broker restarts: all transports are gone; `forget`: so are the sessions. */
void broker_restart(broker_model *b, bool forget);
bool broker_subscribed(const broker_model *b, uint32_t client);
/* Messages on their way to a client, unacknowledged by it. */
size_t broker_backlog(const broker_model *b, uint32_t client);

void broker_append(broker_bytes *bytes, const void *data, size_t len);
void broker_drop_front(broker_bytes *bytes, size_t len);

#endif
