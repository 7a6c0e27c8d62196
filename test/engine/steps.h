/* Scripts as text: one row says which rule it is about, what a server sends, and what must come
 * of it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TEST_ENGINE_STEPS_H
#define TERN_TEST_ENGINE_STEPS_H

#include "engine/script.h"

enum { STEPS_MAX = 12 };

/* How the engine is made, and how far it is when the first step comes: connected, if nothing else
 * is said. */
typedef enum steps_flag {
    GREETING = 1,    /* CONNECT went out, no CONNACK came */
    NAMELESS = 2,    /* no client id, and GREETING */
    CLEAN = 4,       /* a clean session */
    PROCESS = 8,     /* a session of the process */
    SMALL = 16,      /* our maximum packet size is 64 */
    FEW = 32,        /* our receive maximum is 2 */
    NO_ALIAS = 64,   /* our topic alias maximum is 0; else it is 10 */
    NO_PROBLEM = 128 /* we want no problem information */
} steps_flag;

/* Bytes are as for script_recv(); '@' behind a first byte stands for the right remaining length,
 * and '|' stands between packets then. The steps:
 *
 *   < BYTES      the server sends them, and they are taken
 *   > BYTES      exactly these come out now
 *   /            whatever comes out is of no interest
 *   = TEXT       exactly this is delivered, as script_delivered() tells it
 *   ! RR BYTES   the server sends what breaks the rule: the link is given up with reason RR
 *   R RR BYTES   a refusal: told with reason RR, not answered, and nothing more is taken
 *   E RR BYTES   the server's DISCONNECT: likewise
 *   T TEXT       the last event's text
 *   & TEXT       the last event's server reference
 *
 *   P Q T X      we publish X on topic T; what we begin is numbered 0, 1, ... in a row
 *   N Q          we publish a retained message on topic t
 *   X Q SECONDS  we publish what expires then, on topic t
 *   S FILTER     we subscribe
 *   U FILTER     we unsubscribe
 *   k            everything delivered is acknowledged
 *   D RR         we leave with this reason, and the session ends
 *   O            the connection is lost
 *   G            a new connection: CONNECT goes out, alone
 *   C BYTES      connected again, with this CONNACK
 *   w SECONDS    time passes
 *
 *   d N RR       message N is what ended next: delivered
 *   r N RR       refused
 *   l N          lost with its session
 *   n N          certainly not sent
 *   a N CODES    request N is what ended next: answered with these codes
 *   z N          too large for the server
 *   -            nothing has ended
 */
typedef struct steps_row {
    const char *tags;
    int version; /* 0: both, one after the other */
    unsigned flags;
    const char *steps[STEPS_MAX];
} steps_row;

/* Runs each row as a test of its own, named by its tags and last step; for main(). */
int steps_run(const steps_row *rows, size_t count);

#endif
