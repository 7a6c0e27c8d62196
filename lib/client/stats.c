/* Statistics: one table with each number's name and where it is found.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "client/client.h"
#include "client/loop.h"
#include "engine/outbox.h"
#include "platform/clock.h"

/* What all numbers are read from, copied under the lock. */
typedef struct snapshot {
    tern__client_counters counters;
    uint64_t published;
    uint64_t outbox_bytes;
    uint64_t outbox_bytes_peak;
    uint64_t outbox_messages;
    uint64_t outbox_messages_peak;
    uint64_t inbound_bytes;
    uint64_t inbound_bytes_peak;
    uint64_t unhandled;
    uint64_t connected;
    uint64_t loop_wakeups;
    uint64_t oldest_unacked_ms;
} snapshot;

typedef struct row {
    const char *name;
    size_t offset; /* of a uint64_t in snapshot */
} row;

#define OF(member) offsetof(snapshot, member)
#define OUTCOME(outcome) (offsetof(snapshot, counters.engine.outcomes) + sizeof(uint64_t) * (outcome))

/* Names are stable: only append. */
static const row rows[] = {
    {"messages_published", OF(published)},
    {"payload_bytes_published", OF(counters.published_bytes)},
    {"messages_rejected", OF(counters.rejected)},
    {"outcomes_delivered", OUTCOME(TERN_OUTCOME_DELIVERED)},
    {"outcomes_sent", OUTCOME(TERN_OUTCOME_SENT)},
    {"outcomes_refused", OUTCOME(TERN_OUTCOME_REFUSED)},
    {"outcomes_not_sent", OUTCOME(TERN_OUTCOME_NOT_SENT)},
    {"outcomes_unknown", OUTCOME(TERN_OUTCOME_UNKNOWN)},
    {"outbox_bytes", OF(outbox_bytes)},
    {"outbox_bytes_peak", OF(outbox_bytes_peak)},
    {"outbox_messages", OF(outbox_messages)},
    {"outbox_messages_peak", OF(outbox_messages_peak)},
    {"inflight", OF(counters.engine.inflight)},
    {"inflight_peak", OF(counters.engine.inflight_peak)},
    {"messages_sent", OF(counters.engine.messages_sent)},
    {"messages_redelivered", OF(counters.engine.redelivered)},
    {"messages_received", OF(counters.engine.messages_received)},
    {"messages_unhandled", OF(unhandled)},
    {"inbound_bytes", OF(inbound_bytes)},
    {"inbound_bytes_peak", OF(inbound_bytes_peak)},
    {"unacknowledged_received", OF(counters.engine.unacked_inbound)},
    {"oldest_unacknowledged_ms", OF(oldest_unacked_ms)},
    {"packets_sent", OF(counters.engine.packets_sent)},
    {"packets_received", OF(counters.engine.packets_received)},
    {"bytes_sent", OF(counters.engine.bytes_sent)},
    {"bytes_received", OF(counters.engine.bytes_received)},
    {"pings_sent", OF(counters.engine.pings_sent)},
    {"connected", OF(connected)},
    {"connects", OF(counters.connects)},
    {"connect_failures", OF(counters.connect_failures)},
    {"disconnects", OF(counters.disconnects)},
    {"loop_wakeups", OF(loop_wakeups)},
    {"messages_dropped", OF(counters.engine.dropped)},
};

enum { ROWS = sizeof rows / sizeof rows[0] };

size_t tern_stat_count(void)
{
    return ROWS;
}

const char *tern_stat_name(size_t index)
{
    return index < ROWS ? rows[index].name : NULL;
}

static void take_snapshot(tern_client *client, snapshot *now)
{
    tern__mutex_lock(&client->lock);
    const tern__outbox *outbox = client->outbox;
    now->counters = client->counters;
    now->published = tern__outbox_last_id_locked(outbox); /* ids count from 1 */
    now->outbox_bytes = tern__outbox_bytes_locked(outbox);
    now->outbox_bytes_peak = tern__outbox_bytes_peak_locked(outbox);
    now->outbox_messages = tern__outbox_count_locked(outbox);
    now->outbox_messages_peak = tern__outbox_count_peak_locked(outbox);
    tern__mutex_unlock(&client->lock);
    now->inbound_bytes = atomic_load(&client->mailbox.inbound_bytes);
    now->inbound_bytes_peak = atomic_load(&client->mailbox.inbound_peak);
    now->unhandled = atomic_load(&client->mailbox.unhandled);
    now->connected = atomic_load(&client->connected);
    now->loop_wakeups = atomic_load(&client->loop->wakeups);
    uint64_t oldest = now->counters.engine.oldest_unacked_us;
    uint64_t clock = tern__clock_us();
    now->oldest_unacked_ms = oldest != 0 && clock > oldest ? (clock - oldest) / 1000 : 0;
}

int tern_client_stat(tern_client *client, const char *name, uint64_t *value)
{
    if (value != NULL) *value = 0;
    int rc = tern__client_check(client);
    if (rc == 0 && (name == NULL || value == NULL)) rc = TERN_E_INVALID;
    if (rc != 0) return rc;
    for (size_t i = 0; i < ROWS; i++) {
        if (strcmp(rows[i].name, name) != 0) continue;
        snapshot now;
        take_snapshot(client, &now);
        memcpy(value, (const char *)&now + rows[i].offset, sizeof *value);
        return 0;
    }
    return TERN_E_NOT_FOUND;
}
