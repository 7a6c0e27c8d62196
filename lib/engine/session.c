/* The session: what CONNECT asks for, what CONNACK says, and what becomes of messages when the broker forgot. [C6] [C7]
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "codec/decode.h"
#include "codec/props.h"
#include "codec/reason.h"
#include "engine/machine.h"

/* ---- CONNECT ---- */

static bool expired_away(const tern__engine *e, uint64_t now)
{
    uint32_t expiry = e->limits.session_expiry;
    return e->session.exists && expiry != UINT32_MAX && now - e->session.left_at > (uint64_t)expiry * 1000000;
}

static bool ask_clean(const tern__engine *e, const tern__connect_config *config, uint64_t now)
{
    switch (config->session) {
    case TERN_SESSION_CLEAN: return true;
    case TERN_SESSION_PERSISTENT: return false;
    case TERN_SESSION_PROCESS: break;
    }
    return config->version == TERN__V311 || !e->session.ever_connected || expired_away(e, now);
}

static int connect_props(const tern__engine *e, const tern__connect_config *config, tern__buf *out)
{
    const tern__engine_config *own = &e->config;
    if (config->version != TERN__V5) return 0;
    int rc = 0;
    if (e->session.asked_expiry != 0) rc = tern__props_add_number(out, TERN__PROP_SESSION_EXPIRY, e->session.asked_expiry);
    if (rc == 0 && own->receive_maximum != UINT16_MAX)
        rc = tern__props_add_number(out, TERN__PROP_RECEIVE_MAXIMUM, own->receive_maximum);
    if (rc == 0) rc = tern__props_add_number(out, TERN__PROP_MAXIMUM_PACKET_SIZE, own->maximum_packet_size);
    if (rc == 0 && own->topic_alias_maximum != 0)
        rc = tern__props_add_number(out, TERN__PROP_TOPIC_ALIAS_MAXIMUM, own->topic_alias_maximum);
    if (rc == 0 && !config->request_problem_info) rc = tern__props_add_number(out, TERN__PROP_REQUEST_PROBLEM_INFO, 0);
    if (rc == 0 && config->request_response_info) rc = tern__props_add_number(out, TERN__PROP_REQUEST_RESPONSE_INFO, 1);
    return rc != 0 ? rc : tern__buf_append(out, config->user_properties.data, config->user_properties.len);
}

static int send_connect(tern__engine *e, const tern__connect_config *config)
{
    enum { OWN_PROPS = 20 }; /* all of connect_props() but the user's */
    const char *id = tern__engine_client_id(e);
    tern__packet packet = {.type = TERN__CONNECT, .props.len = OWN_PROPS + config->user_properties.len};
    packet.u.connect = (tern__connect_packet){
        .clean_start = e->session.asked_clean,
        .has_user_name = config->has_user_name,
        .has_password = config->has_password,
        .keep_alive = config->keep_alive,
        .client_id = {(const uint8_t *)id, strlen(id)},
        .user_name = config->user_name,
        .password = config->password,
        .will = config->will,
    };
    if (tern__encode_size(&packet, config->version) == 0) return TERN_E_TOO_LARGE; /* before any of it is copied */
    tern__buf props = {0};
    int rc = connect_props(e, config, &props);
    packet.props = (tern__props){props.data, props.len, 0};
    if (rc == 0) rc = tern__output_packet(e, &packet);
    tern__buf_deinit(&props);
    return rc;
}

static void reset_limits(tern__limits *limits, int version)
{
    uint32_t expiry = limits->session_expiry; /* of the session that may still be there */
    *limits = (tern__limits){
        .version = version,
        .maximum_packet_size = UINT32_MAX,
        .session_expiry = expiry,
        .maximum_qos = 2,
        .retain_available = true,
        .wildcard_available = true,
        .subscription_id_available = true,
        .shared_available = true,
    };
}

int tern__engine_opened(tern__engine *e, const tern__connect_config *config, uint64_t now)
{
    e->epoch++;
    e->session.mode = config->session;
    e->session.asked_clean = ask_clean(e, config, now);
    if (e->session.unanswered) e->session.doubtful = true;
    e->session.unanswered = true;
    e->session.asked_expiry = config->session == TERN_SESSION_CLEAN ? 0 : config->session_expiry;
    e->session.problem_info = config->request_problem_info;
    reset_limits(&e->limits, config->version);
    e->phase = TERN__PHASE_GREETING;
    e->dead = e->closable_due = e->end_due = false;
    e->acks.head = e->acks.tail = 1;
    e->acks.open = 0;
    e->limits.keep_alive = config->keep_alive;
    tern__keepalive_start(&e->keepalive, 0, (uint64_t)config->ping_timeout_ms * 1000, now);
    return send_connect(e, config);
}

/* ---- CONNACK ---- */

static void take_limits(tern__engine *e, const tern__packet *packet)
{
    tern__limits *limits = &e->limits;
    const tern__props *props = &packet->props;
    uint32_t send = tern__props_number(props, TERN__PROP_RECEIVE_MAXIMUM, UINT16_MAX);
    limits->session_present = packet->u.connack.session_present;
    limits->send_maximum = (uint16_t)(send < e->config.inflight_maximum ? send : e->config.inflight_maximum);
    limits->keep_alive = (uint16_t)tern__props_number(props, TERN__PROP_SERVER_KEEP_ALIVE, limits->keep_alive);
    limits->maximum_packet_size = tern__props_number(props, TERN__PROP_MAXIMUM_PACKET_SIZE, UINT32_MAX);
    limits->session_expiry = tern__props_number(props, TERN__PROP_SESSION_EXPIRY, e->session.asked_expiry);
    if (limits->version == TERN__V311) limits->session_expiry = e->session.asked_clean ? 0 : UINT32_MAX;
    limits->topic_alias_maximum = (uint16_t)tern__props_number(props, TERN__PROP_TOPIC_ALIAS_MAXIMUM, 0);
    limits->maximum_qos = (uint8_t)tern__props_number(props, TERN__PROP_MAXIMUM_QOS, 2);
    limits->retain_available = tern__props_number(props, TERN__PROP_RETAIN_AVAILABLE, 1) != 0;
    limits->wildcard_available = tern__props_number(props, TERN__PROP_WILDCARD_AVAILABLE, 1) != 0;
    limits->subscription_id_available = tern__props_number(props, TERN__PROP_SUBSCRIPTION_ID_AVAILABLE, 1) != 0;
    limits->shared_available = tern__props_number(props, TERN__PROP_SHARED_AVAILABLE, 1) != 0;
    tern__keepalive_start(&e->keepalive, limits->keep_alive, e->keepalive.timeout_us, e->receiver.now);
}

/* What an accepting CONNACK must not say, or must; NULL where it is in order. */
static const char *unacceptable(const tern__engine *e, const tern__packet *packet)
{
    bool present = packet->u.connack.session_present;
    const tern__props *props = &packet->props;
    if (present && e->session.asked_clean) /* [MQTT5-3.2.2-2] [MQTT311-3.2.2-1] */
        return "session present after a clean start [MQTT5-3.2.2-2]";
    if (present && !e->session.exists && e->session.mode != TERN_SESSION_PERSISTENT) /* [MQTT5-3.2.2-4] */
        return "session present, but we have none [MQTT5-3.2.2-4]";
    if (tern__props_has(props, TERN__PROP_AUTH_METHOD))
        return "an authentication method where we named none [MQTT5-4.12.0-6]";
    bool nameless = tern__engine_client_id(e)[0] == '\0' && tern__engine_version(e) == TERN__V5;
    if (nameless && !tern__props_has(props, TERN__PROP_ASSIGNED_CLIENT_ID))
        return "no client identifier assigned to an empty one [MQTT5-3.2.2-16]";
    return NULL;
}

/* Copies a property's text, where the packet has it. */
static int take_text(const tern__packet *packet, uint8_t id, char **text)
{
    tern__prop prop;
    if (!tern__props_has(&packet->props, id) || !tern__props_find(&packet->props, id, &prop)) return 0;
    char *copy = tern__memdup(prop.text.data, prop.text.len);
    if (copy == NULL) return TERN_E_NOMEM;
    tern__free(*text);
    *text = copy;
    return 0;
}

/* An empty id was answered by one of the server's [MQTT5-3.1.3-7]; the response information is of this connection alone. */
static int take_texts(tern__engine *e, const tern__packet *packet)
{
    tern__free(e->response_info);
    e->response_info = NULL;
    int rc = take_text(packet, TERN__PROP_ASSIGNED_CLIENT_ID, &e->assigned_id);
    return rc != 0 ? rc : take_text(packet, TERN__PROP_RESPONSE_INFO, &e->response_info);
}

/* The broker has no session of ours: what was unanswered cannot be redelivered. QoS 1 is published again as new, before what
 * waits; of QoS 2 nobody knows. [C7] [MQTT5-3.2.2-5] */
static void lose_session(tern__engine *e)
{
    tern__inflight *inflight = &e->inflight;
    tern__slot *slot;
    while ((slot = tern__inflight_find(inflight, inflight->publishes.first)) != NULL) {
        tern__chunk *chunk = slot->of.chunk;
        uint32_t index = slot->index;
        tern__entry *entry = tern__chunk_entry(chunk, index);
        tern__inflight_close(inflight, slot);
        if (entry->qos == 1) {
            entry->state = TERN__ENTRY_WAITING;
            entry->begun = 0;
            entry->left = 1;
            tern__outbox_rewind(&e->outbox, chunk, index);
        } else {
            tern__outcome_tell(e, chunk, index, TERN_OUTCOME_UNKNOWN, TERN_CAUSE_SESSION_LOST, -1);
        }
    }
    while ((slot = tern__inflight_find(inflight, inflight->releases.first)) != NULL) {
        tern__chunk *chunk = slot->of.chunk;
        uint32_t index = slot->index;
        tern__inflight_close(inflight, slot);
        tern__outcome_tell(e, chunk, index, TERN_OUTCOME_UNKNOWN, TERN_CAUSE_SESSION_LOST, -1);
    }
    tern__free(e->acks.held);
    e->acks.held = NULL;
    e->session.doubtful = false;
    if (!tern__list_empty(&e->requests.wishes)) e->requests.renew = true;
}

/* PUBRELs go out again in the order of their PUBRECs; PUBLISHes follow when output is asked for. [MQTT5-4.4.0-1] */
static int resume_session(tern__engine *e)
{
    /* It may be a session that an attempt began whose CONNACK was lost on the way: then it is empty. [C7] */
    if (e->session.doubtful && !tern__list_empty(&e->requests.wishes)) e->requests.renew = true;
    e->redeliver = e->inflight.publishes.first;
    for (uint16_t id = e->inflight.releases.first; id != 0;) {
        tern__slot *slot = tern__inflight_find(&e->inflight, id);
        int rc = tern__output_ack(e, TERN__PUBREL, id, 0);
        if (rc != 0) return rc;
        id = slot->next;
    }
    return 0;
}

static int refused(tern__engine *e, const tern__packet *packet)
{
    uint8_t reason = packet->u.connack.reason;
    if (tern__engine_version(e) == TERN__V311) reason = tern__reason_from_connack311(reason);
    return tern__engine_end(e, TERN__EVENT_REFUSED, TERN_E_REFUSED, reason, packet);
}

int tern__session_connack(tern__engine *e, const tern__packet *packet, uint64_t now)
{
    (void)now;
    bool present = packet->u.connack.session_present;
    e->session.unanswered = false;
    if (packet->u.connack.reason != 0) return refused(e, packet); /* [MQTT5-3.2.2-7] */
    const char *rule = unacceptable(e, packet);
    if (rule != NULL) return tern__engine_fail(e, TERN_E_PROTOCOL, 0x82, 2, rule);
    take_limits(e, packet);
    e->outbox.wanted_form = e->limits.version;
    if (!present) lose_session(e); /* before anything can fail: the server will not say it twice */
    int rc = take_texts(e, packet);
    if (rc == 0 && present) rc = resume_session(e);
    e->session.exists = true;
    e->session.ever_connected = true;
    /* A PUBREL that is still owed stands for a PUBLISH without its PUBCOMP: it counts. [MQTT5-4.9.0-1] [MQTT5-3.3.4-7] */
    e->quota = (int32_t)e->limits.send_maximum - (int32_t)e->inflight.releases.count;
    e->phase = TERN__PHASE_OPEN;
    e->draining = e->config.drain_interval_us != 0;
    e->drain_at = 0;
    if (rc == 0) rc = tern__requests_renew(e);
    if (rc == 0) rc = tern__requests_send(e);
    if (rc != 0) return tern__engine_fail(e, TERN_E_NOMEM, 0x83, 0, "out of memory");
    e->connected_due = true;
    return 0;
}
