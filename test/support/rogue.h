/* Servers that misbehave as a test says: scripts that stop anywhere, addresses that never answer,
 * and a relay that cuts. SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TEST_SUPPORT_ROGUE_H
#define TERN_TEST_SUPPORT_ROGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- a scripted server ---- */

typedef enum rogue_verb {
    ROGUE_HEAR = 1,  /* waits for `len` bytes more */
    ROGUE_HEAR_TEXT, /* waits until what is heard from here on ends with the text */
    ROGUE_SAY,       /* `len` bytes; a text where `len` is 0 */
    ROGUE_UPGRADE, /* as ROGUE_SAY, with %ACCEPT% filled in for the key of the request heard before
                    */
    ROGUE_END,     /* closes: FIN where all was heard */
    ROGUE_RESET    /* closes with a reset */
} rogue_verb;

typedef struct rogue_step {
    rogue_verb verb;
    const void *data; /* borrowed */
    size_t len;
} rogue_step;

/* What each connection does in turn, in a thread of its own kind. After its last step a connection
 * stays open, and is silent. */
typedef struct rogue rogue;

/* Listens on a free port of the address; no steps: it accepts and is silent. The steps are
 * borrowed. NULL where the machine has no such address. */
rogue *rogue_new(const char *address, const rogue_step *steps, size_t count);
void rogue_free(rogue *r);
uint16_t rogue_port(const rogue *r);
/* Waits until so many connections went through so many of the steps. False when the time was over.
 */
bool rogue_wait(rogue *r, unsigned connections, size_t steps);
/* As rogue_wait(), of this moment. */
bool rogue_reached(rogue *r, unsigned connections, size_t steps);
/* Connections so far. */
unsigned rogue_connections(rogue *r);
/* What the connection (from 0) said so far: its length, also where it does not fit. */
size_t rogue_heard(rogue *r, unsigned connection, void *data, size_t size);

/* A server's WebSocket frame, unmasked, its length in the shortest form: `out` has room for
 * len + ROGUE_FRAME_EXTRA. Returns its length. */
enum { ROGUE_FRAME_EXTRA = 10 };
size_t rogue_frame(uint8_t *out, unsigned first_byte, const void *payload, size_t len);
/* Sec-WebSocket-Accept for a key, 28 characters and a NUL. (RFC 6455 section 4.2.2) */
void rogue_accept_of(const char *key, char accept[29]);

/* ---- an address that never answers ---- */

enum { ROGUE_HOLE_SOCKETS = 8 };

/* A listener whose backlog is full: the kernel drops what comes. */
typedef struct rogue_hole {
    int sockets[ROGUE_HOLE_SOCKETS];
    size_t count;
    uint16_t port;
} rogue_hole;

/* On a port of the address, 0 for a free one. False where that does not work here. */
bool rogue_hole_open(rogue_hole *hole, const char *address, uint16_t port);
void rogue_hole_close(rogue_hole *hole);

/* ---- a relay that cuts ---- */

/* Passes bytes between its clients and a server on 127.0.0.1, until a limit: then the client gets a
 * FIN and nothing more, in whatever record or packet that falls. */
typedef struct rogue_relay rogue_relay;

enum { ROGUE_UNLIMITED = -1 };

/* `limit`: how many bytes of the server pass, of each connection. */
rogue_relay *rogue_relay_new(uint16_t server, int64_t limit);
void rogue_relay_free(rogue_relay *r);
uint16_t rogue_relay_port(const rogue_relay *r);
/* From now on so many more bytes pass, of the connections that there are and of new ones. */
void rogue_relay_limit(rogue_relay *r, int64_t limit);
/* Bytes of the server that passed, of all connections. */
uint64_t rogue_relay_passed(rogue_relay *r);
/* Whether so many connections were cut in time. */
bool rogue_relay_wait_cut(rogue_relay *r, unsigned connections);

#endif
