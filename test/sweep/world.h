/* A small world for sweeps: an engine, a broker model written from the specification, and a link between them that can be cut
 * after any byte, on virtual time.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TEST_SWEEP_WORLD_H
#define TERN_TEST_SWEEP_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"

enum { WORLD_MESSAGES = 9 };

typedef struct world {
    tern__block_pool *pool;
    tern__engine *engine;
    int version;
    tern_session session_mode;
    uint64_t now;
    bool online;
    /* The broker's session. */
    bool session_kept;
    bool broker_forgets; /* at the next connection */
    bool held[65536];    /* QoS 2 ids between PUBLISH and PUBREL */
    bool subscribed;
    unsigned subscribes;
    uint8_t in[1 << 16]; /* bytes from the client that are not a whole packet yet */
    size_t in_len;
    uint8_t out[1 << 16]; /* bytes for the client */
    size_t out_len;
    unsigned inbound_sent; /* messages that the broker sends to the client after SUBACK */
    bool inbound_open[4];  /* of them, unacknowledged: index is QoS */
    bool inbound_released[4];
    /* The link. */
    size_t cut_out; /* bytes from the client that still get through; SIZE_MAX: all */
    size_t cut_in;
    size_t carried_out;
    size_t carried_in;
    bool cut;
    /* What the oracle looks at. */
    unsigned copies[WORLD_MESSAGES]; /* at the broker, of each message */
    unsigned order_errors;
    int last_first_copy;
    unsigned outcomes[WORLD_MESSAGES];
    tern_outcome outcome[WORLD_MESSAGES];
    tern_cause cause[WORLD_MESSAGES];
    unsigned received[4]; /* by the application, by QoS */
    bool connected;
    unsigned failures; /* FAILED events */
} world;

/* 0 or TERN_E_NOMEM. */
int world_init(world *w, int version);
void world_deinit(world *w);
/* Publishes three messages of each QoS, and subscribes. 0, or the error of the call that failed. */
int world_submit(world *w, unsigned *accepted);
/* Opens a connection. */
void world_connect(world *w);
/* Lets bytes go to and fro until nothing moves or the link is cut. */
void world_run(world *w);
/* The link breaks. */
void world_disconnect(world *w);
/* Closes for good: whatever is left gets its outcome. */
void world_close(world *w);

#endif
