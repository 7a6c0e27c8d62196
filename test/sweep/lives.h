/* Lives of a client, each of which has one allocation that fails. Include it after cmocka.h.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TEST_SWEEP_LIVES_H
#define TERN_TEST_SWEEP_LIVES_H

#include <stdatomic.h>
#include <tern/tern.h>

#include "allocations.h"
#include "support/mock_broker.h"

/* What a life counts; all zero at its start. */
typedef struct life {
    atomic_int told;     /* outcomes by the delivery handler */
    atomic_int received; /* messages */
    int accepted;        /* without a token */
} life;

/* Handlers, whose user data is the life. */
void life_on_delivery(tern_client *client, const tern_delivery *delivery, void *user_data);
void life_on_message(tern_client *client, const tern_message *message, void *user_data);

/* Options of a connection with credentials, a will and quick retries. 0, or the error of the call that failed. */
int life_connection_options(tern_connection_options **options, const char *url);
/* Gives a client such options. */
int life_configure(tern_client *client, const char *url);

/* Calls until it works: one failure is all there is. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        int tried_ = (call);                                                                       \
        if (tried_ == TERN_E_NOMEM) tried_ = (call);                                               \
        if (tried_ != 0) fail_msg("%s: %s", #call, tern_strerror(tried_));                         \
    } while (0)

/* Lives the life again and again, each time with another allocation that fails, until none did; each
 * with a broker of its own. */
void sweep_lives(void (*lived)(mock_broker *broker, life *l));

#endif
