/* A mosquitto of the quickstart's own: on a free loopback port, started and stopped by pid.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef QUICKSTART_BROKER_H
#define QUICKSTART_BROKER_H

#include <sys/types.h>

typedef struct broker {
    const char *program;
    const char *folder; /* for its configuration and sessions */
    enum way { WAY_TCP, WAY_TLS, WAY_WSS } way;
    int port;
    pid_t pid; /* 0 while it is down */
} broker;

/* Chooses a free port and writes the configuration; for TLS the folder holds ca.pem, server.pem and server.key. 0, or -1 with a message on stderr. */
int broker_init(broker *broker, const char *program, const char *folder, enum way way);
/* Starts it and waits until it accepts connections. */
int broker_start(broker *broker);
/* Stops it with SIGTERM, so that it keeps its sessions, and waits for its end. */
void broker_stop(broker *broker);

#endif
