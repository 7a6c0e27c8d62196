/* A hub's tokens: made for each attempt to connect, and renewed before they expire by a quiet reconnect.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <time.h>
#include <tern/attempt.h>
#include <tern/options.h>

#include "cloud/azure.h"
#include "cloud/sas.h"
#include "platform/clock.h"

enum {
    PUT_OFF = 2,          /* how often a renewal waits for requests that are under way */
    SLICE = 20,           /* each time, and for what is in flight, a 20th of the token's life */
    QUIET_MS = 10000,     /* and no longer than this */
    AGAIN_MS = 1000       /* where there was no memory for a token */
};

static void on_renewal(tern_client *client, int due, void *user_data);

static uint32_t slice_ms(const tern_azure_hub *hub)
{
    uint32_t slice = hub->token_life * (1000 / SLICE); /* a life is a year at most: it fits */
    return slice < QUIET_MS ? slice : QUIET_MS;
}

/* Where there is no memory for a timer the service ends the connection in time, and the next one has a new token. */
static void set_renewal(tern_azure_hub *hub, uint32_t delay_ms)
{
    if (hub->renewal != 0) (void)tern_client_cancel_timer(hub->client, hub->renewal);
    hub->renewal = 0;
    hub->renew_at = tern__clock_us() + (uint64_t)delay_ms * 1000;
    (void)tern_client_set_timer(hub->client, delay_ms, on_renewal, hub, &hub->renewal);
}

/* Answers of the service that are awaited would be lost with the connection: they have a little time. */
static void on_renewal(tern_client *client, int due, void *user_data)
{
    tern_azure_hub *hub = user_data;
    if (!due || tern__clock_us() < hub->renew_at) return; /* it was replaced when it was on its way here */
    hub->renewal = 0;
    if (!tern_client_connected(client)) return; /* the next attempt has a new token anyway */
    if (tern__azure_requests_open(hub) && hub->put_off < PUT_OFF) {
        hub->put_off++;
        set_renewal(hub, slice_ms(hub));
        return;
    }
    if (tern_client_reconnect(client, slice_ms(hub), NULL) == TERN_E_NOMEM) set_renewal(hub, slice_ms(hub));
}

/* A token is judged by the service's clock, and dated by ours. */
static void set_hint(tern_attempt *attempt, uint64_t now)
{
    char date[40] = "a time that is no date";
    char text[300];
    struct tm parts;
    time_t seconds = (time_t)now;
    if (gmtime_r(&seconds, &parts) != NULL) (void)strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S UTC", &parts);
    snprintf(text, sizeof text, "the service refused the token: check this machine's clock, which says %s and dates the token, "
             "then HostName, DeviceId and SharedAccessKey, and whether the device is enabled", date);
    (void)tern_attempt_set_hint(attempt, text); /* without memory the usual hint is told */
}

static void on_attempt(tern_client *client, tern_attempt *attempt, void *user_data)
{
    tern_azure_hub *hub = user_data;
    (void)client;
    uint64_t now = (tern__clock_wall_us() + 999999) / 1000000; /* rounded up: the life counts from the attempt, not from before */
    tern__buf token = {0};
    const tern__connection_string *own = &hub->parsed;
    int rc = tern__sas_make(&token, hub->resource, own->key, own->key_length, own->policy, now + hub->token_life);
    if (rc == 0)
        rc = tern_connection_options_set_credentials(tern_attempt_options(attempt), hub->user_name, token.data, token.len);
    tern__sas_forget(&token);
    if (rc != 0) {
        (void)tern_attempt_postpone(attempt, AGAIN_MS);
        return;
    }
    set_hint(attempt, now);
    hub->put_off = 0;
    set_renewal(hub, tern__sas_renewal_ms(hub->token_life));
}

int tern__azure_token_start(tern_azure_hub *hub)
{
    if (hub->parsed.key == NULL) return 0;
    return tern_client_set_attempt_handler(hub->client, on_attempt, hub);
}
