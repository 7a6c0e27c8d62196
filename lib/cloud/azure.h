/* A hub from inside: what its files share. Each part is the business of the file named behind it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CLOUD_AZURE_H
#define TERN_CLOUD_AZURE_H

#include <stdbool.h>
#include <tern/azure.h>
#include <tern/client.h>

#include "base/buf.h"
#include "base/list.h"
#include "cloud/connection_string.h"
#include "platform/thread.h"

/* ---- azure_options.c ---- */

struct tern_azure_options {
    tern__connection_string parsed;
    tern_client_options *client;
    tern_connection_options *connection;
    uint32_t token_life; /* seconds */
    uint16_t keep_alive; /* seconds */
    bool websocket;
    bool limited;   /* the service's limits are among the client's transforms */
    char *server;   /* a URL, or NULL: the hub's own */
    char *model_id; /* or NULL */
};

/* Sets what a hub sets of its client and connection. 0 or the error of the setter that failed. */
int tern__azure_options_apply(tern_azure_options *options);
/* "devices/id" or "devices/id/modules/module", a part of topics and of what tokens are for; allocated, NULL without memory. */
char *tern__azure_path(const tern__connection_string *parsed);
/* The texts one after the other, up to NULL; allocated, NULL where memory ran out. */
char *tern__azure_join(const char *const *texts);
/* Allocated; NULL where memory ran out. */
char *tern__azure_user_name(const tern_azure_options *options);

/* ---- azure_properties.c ---- */

/* Appends the bag as a topic has it. 0 or TERN_E_NOMEM. */
int tern__azure_properties_write(const tern_azure_properties *properties, tern__buf *out);
/* Reads a bag from a topic. 0 or TERN_E_NOMEM. */
int tern__azure_properties_read(const char *text, size_t len, tern_azure_properties *properties);
/* An empty one; tern__azure_properties_deinit() ends it. */
struct tern_azure_properties {
    tern__buf text;  /* NUL-terminated names and values, one after the other */
    tern__buf spots; /* of each property: a tern__azure_spot */
};
void tern__azure_properties_deinit(tern_azure_properties *properties);

/* ---- azure_requests.c ---- */

struct tern_azure_response {
    int error;
    int status;
    uint64_t version;
    const tern_message *message; /* NULL without answer */
};

/* The value of a key among those of a topic ("...?$rid=1&$version=2"); its length in *len, NULL where it is absent. */
const char *tern__azure_query(const char *topic, const char *key, size_t *len);
/* The number that the key has; false where it is absent, no number or too large. */
bool tern__azure_query_number(const char *topic, const char *key, uint64_t *number);
/* Subscribes to the answers. 0 or an error. */
int tern__azure_requests_start(tern_azure_hub *hub);
/* The connection was lost: requests that got there have no answer any more. */
void tern__azure_requests_lost(tern_azure_hub *hub);
bool tern__azure_requests_open(tern_azure_hub *hub);

/* ---- azure_token.c ---- */

/* Sets the attempt handler, where tokens are made here. */
int tern__azure_token_start(tern_azure_hub *hub);

/* ---- azure_hub.c ---- */

struct tern_azure_method {
    char *name;
    char *request_id;
    const tern_message *message;
};

/* Handlers of the application; under the lock. */
typedef struct tern__azure_handlers {
    tern_azure_event_callback event;
    tern_azure_message_callback message;
    tern_azure_desired_callback desired;
    tern_azure_method_callback method;
    void *event_data;
    void *message_data;
    void *desired_data;
    void *method_data;
} tern__azure_handlers;

struct tern_azure_hub {
    /* Constant. */
    tern_client *client;
    tern__connection_string parsed; /* the key and what it is for */
    char *resource;  /* what tokens are for */
    char *user_name;
    char *events;    /* what telemetry topics begin with */
    char *bound;     /* what topics of cloud-to-device messages begin with */
    char *bound_filter;
    uint32_t token_life; /* seconds */
    /* Of the thread that runs callbacks. */
    uint64_t renewal;    /* the timer; 0 none */
    uint64_t renew_at;   /* when it is due, on the monotonic clock */
    unsigned put_off;    /* how often this renewal waited for requests */
    /* Shared, under the lock. */
    tern__mutex lock;
    tern__azure_handlers handlers;
    tern__list requests;
    uint64_t last_request;
};

#endif
