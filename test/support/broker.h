/* Debian's mosquitto for tests: on a free loopback port, in a folder of its own, stopped by pid.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TEST_SUPPORT_BROKER_H
#define TERN_TEST_SUPPORT_BROKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct broker {
    char folder[96];
    char url[64];
    char unix_url[160];
    uint16_t port;
    pid_t pid;
} broker;

/* `extra` (may be NULL) is more configuration. False where mosquitto is not installed, or does not start. */
bool broker_new(broker *b, const char *extra);
bool broker_start(broker *b);
void broker_stop(broker *b); /* with SIGTERM: it keeps its sessions */
void broker_free(broker *b);

#endif
