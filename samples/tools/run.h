/* A run: a client whose callbacks run on the main thread, which waits for them, for input, for signals and for its
 * deadline in one place. So the programs share nothing between threads.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TOOLS_RUN_H
#define TERN_TOOLS_RUN_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <tern/tern.h>

#include "cli.h"

typedef struct run {
    const cli *cli;
    tern_client *client;
    int dispatch_fd;
    uint64_t deadline_ms; /* of a monotonic clock; UINT64_MAX = none */
    sigset_t awake;       /* signals while waiting; SIGINT and SIGTERM are blocked elsewhere */
    bool connected_once;
    bool over;  /* nothing more is to be done */
    int status; /* the exit status, once over */
} run;

/* What differs between the programs. */
typedef struct run_options {
    tern_ack ack;
    uint32_t block_ms;   /* how long a publish may wait for room in the outbox */
    size_t outbox_bytes; /* 0 = the default */
    size_t outbox_messages;
} run_options;

/* Makes and configures the client, with its callbacks not yet running. False: over, and the error was told. */
bool run_open(run *self, const cli *options, const char *url, const run_options *own);
/* Tells the client to connect. False: over. */
bool run_connect(run *self);
/* Runs the callbacks that are due, waiting for them, for the descriptor `input` (-1 = none), a signal or the deadline.
 * True while the run goes on; *readable tells of `input`. */
bool run_wait(run *self, int input, bool *readable);
/* Runs the callbacks that are due, without waiting. True while the run goes on. */
bool run_poll(run *self);
/* Ends the run with a status. The first end counts. */
void run_end(run *self, int status);
/* Closes and frees the client; drains where the run ended well. Returns the exit status. */
int run_close(run *self);

#endif
