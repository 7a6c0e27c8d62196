/* Client options: what is fixed for a client's life.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "client/options.h"

enum { DEFAULT_OUTBOX = 64 << 20, DEFAULT_INBOUND = 4 << 20, DEFAULT_PACKET = 16 << 20, DEFAULT_INFLIGHT = 1000 };

void tern__client_options_init(tern_client_options *options)
{
    memset(options, 0, sizeof *options);
    options->outbox_bytes = DEFAULT_OUTBOX;
    options->inflight_maximum = DEFAULT_INFLIGHT;
    options->inbound_limit = DEFAULT_INBOUND;
    options->maximum_packet_size = DEFAULT_PACKET;
    options->receive_maximum = UINT16_MAX;
}

int tern_client_options_new(tern_client_options **options)
{
    if (options == NULL) return TERN_E_INVALID;
    *options = NULL;
    tern_client_options *made = tern__malloc(sizeof *made);
    if (made == NULL) return TERN_E_NOMEM;
    tern__client_options_init(made);
    made->client_id = tern__strdup("");
    if (made->client_id == NULL) {
        tern__free(made);
        return TERN_E_NOMEM;
    }
    *options = made;
    return 0;
}

int tern_client_options_copy(const tern_client_options *options, tern_client_options **copy)
{
    if (copy == NULL) return TERN_E_INVALID;
    *copy = NULL;
    if (options == NULL) return TERN_E_INVALID;
    tern_client_options *made = tern__memdup(options, sizeof *options);
    if (made == NULL) return TERN_E_NOMEM;
    made->client_id = tern__strdup(options->client_id);
    if (made->client_id == NULL) {
        tern__free(made);
        return TERN_E_NOMEM;
    }
    tern__transforms_ref(&made->transforms);
    *copy = made;
    return 0;
}

void tern_client_options_free(tern_client_options *options)
{
    if (options == NULL) return;
    tern__transforms_unref(&options->transforms);
    tern__free(options->client_id);
    tern__free(options);
}

int tern_client_options_set_client_id(tern_client_options *options, const char *client_id)
{
    if (options == NULL || client_id == NULL) return TERN_E_INVALID;
    size_t len = strlen(client_id);
    if (len > UINT16_MAX) return TERN_E_TOO_LARGE;
    if (!tern__utf8_valid(client_id, len)) return TERN_E_UTF8; /* [MQTT5-3.1.3-4] */
    char *copy = tern__strdup(client_id);
    if (copy == NULL) return TERN_E_NOMEM;
    tern__free(options->client_id);
    options->client_id = copy;
    return 0;
}

int tern_client_options_set_outbox_limits(tern_client_options *options, size_t max_bytes,
                                          size_t max_messages)
{
    if (options == NULL || max_bytes == 0) return TERN_E_INVALID;
    options->outbox_bytes = max_bytes;
    options->outbox_messages = max_messages;
    return 0;
}

int tern_client_options_set_outbox_policy(tern_client_options *options, tern_outbox_policy policy,
                                          uint32_t block_timeout_ms)
{
    if (options == NULL || (unsigned)policy > TERN_OUTBOX_DROP_NEWEST) return TERN_E_INVALID;
    options->policy = policy;
    options->block_timeout_ms = block_timeout_ms;
    return 0;
}

int tern_client_options_set_drain_rate(tern_client_options *options, uint32_t messages, uint32_t interval_ms)
{
    enum { FASTEST = 1000000 };
    if (options == NULL || messages > FASTEST || (messages != 0 && interval_ms == 0)) return TERN_E_INVALID;
    uint64_t interval_us = messages != 0 ? (uint64_t)interval_ms * 1000 / messages : 0;
    options->drain_interval_us = messages != 0 && interval_us == 0 ? 1 : interval_us;
    return 0;
}

int tern_client_options_set_filters_per_subscribe(tern_client_options *options, uint16_t filters)
{
    if (options == NULL) return TERN_E_INVALID;
    options->filters_per_subscribe = filters;
    return 0;
}

int tern_client_options_set_inflight_maximum(tern_client_options *options, uint16_t maximum)
{
    if (options == NULL || maximum == 0) return TERN_E_INVALID;
    options->inflight_maximum = maximum;
    return 0;
}

int tern_client_options_set_inbound_limit(tern_client_options *options, size_t max_bytes)
{
    if (options == NULL || max_bytes == 0) return TERN_E_INVALID;
    options->inbound_limit = max_bytes;
    return 0;
}

int tern_client_options_set_maximum_packet_size(tern_client_options *options, uint32_t bytes)
{
    if (options == NULL || bytes == 0) return TERN_E_INVALID;
    options->maximum_packet_size = bytes;
    return 0;
}

int tern_client_options_set_receive_maximum(tern_client_options *options, uint16_t maximum)
{
    if (options == NULL || maximum == 0) return TERN_E_INVALID;
    options->receive_maximum = maximum;
    return 0;
}

int tern_client_options_set_topic_alias_maximum(tern_client_options *options, uint16_t maximum)
{
    if (options == NULL) return TERN_E_INVALID;
    options->topic_alias_maximum = maximum;
    return 0;
}

int tern_client_options_set_loop(tern_client_options *options, tern_loop *loop)
{
    if (options == NULL) return TERN_E_INVALID;
    options->loop = loop;
    return 0;
}

int tern_client_options_set_dispatch(tern_client_options *options, tern_dispatch dispatch)
{
    if (options == NULL || (unsigned)dispatch > TERN_DISPATCH_MANUAL) return TERN_E_INVALID;
    options->dispatch = dispatch;
    return 0;
}

int tern_client_options_set_ack(tern_client_options *options, tern_ack ack)
{
    if (options == NULL || (unsigned)ack > TERN_ACK_MANUAL) return TERN_E_INVALID;
    options->ack = ack;
    return 0;
}

int tern_client_options_set_log(tern_client_options *options, tern_log_level level,
                                tern_log_callback callback, void *user_data)
{
    if (options == NULL || (unsigned)level > TERN_LOG_TRACE) return TERN_E_INVALID;
    options->log = (tern__log){level, callback, user_data};
    return 0;
}
