/* What is behind the options handles.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CLIENT_OPTIONS_H
#define TERN_CLIENT_OPTIONS_H

#include <stdbool.h>
#include <tern/options.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/view.h"
#include "codec/packet.h"
#include "client/transform.h"
#include "client/transport_options.h"
#include "transport/uri.h"

struct tern_client_options {
    char *client_id; /* never NULL */
    size_t outbox_bytes;
    size_t outbox_messages;
    tern_outbox_policy policy;
    uint32_t block_timeout_ms;
    uint64_t drain_interval_us; /* 0 none */
    uint16_t filters_per_subscribe; /* 0 any number */
    uint16_t inflight_maximum;
    size_t inbound_limit;
    uint32_t maximum_packet_size;
    uint16_t receive_maximum;
    uint16_t topic_alias_maximum;
    tern_loop *loop; /* borrowed until a client refs it */
    tern_dispatch dispatch;
    tern_ack ack;
    tern__log log;
    tern__transforms transforms;
};

/* A server: its URL, and the protocol version that it turned out to speak. */
typedef struct tern__server {
    tern__uri uri;
    char *url;
    int known_version; /* 0 unknown; TERN__V311 after a fallback that worked; TERN__V5 */
} tern__server;

struct tern_connection_options {
    tern__server *servers;
    size_t server_count;
    size_t first_server; /* index modulo their number */
    tern_version version;
    bool has_user_name;
    bool has_password;
    tern__buf user_name;
    tern__buf password;
    uint16_t keep_alive;
    uint32_t connect_timeout_ms;
    tern_session session;
    uint32_t session_expiry;
    bool has_will;
    bool will_retain;
    uint8_t will_qos;
    tern__buf will_topic;
    tern__buf will_payload;
    tern__buf will_props; /* wire form, delay included */
    uint64_t will_present;
    tern__buf user_properties; /* wire form */
    bool request_problem_info;
    bool request_response_info;
    uint32_t retry_base_ms;
    uint32_t retry_maximum_ms;
    tern_jitter jitter;
    uint32_t retry_attempts;
    uint32_t stable_ms;
    bool retry_refused;
    tern__transport_options transport;
};

/* The defaults. */
void tern__client_options_init(tern_client_options *options);
/* A deep copy; TERN_E_NOMEM. */
int tern__connection_options_clone(const tern_connection_options *options,
                                   tern_connection_options **copy);
/* The same with one of the servers alone. */
int tern__connection_options_clone_for(const tern_connection_options *options, size_t server,
                                       tern_connection_options **copy);

#endif
