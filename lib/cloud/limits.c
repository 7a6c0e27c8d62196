/* What a service refuses, refused before it is sent: a transform that changes nothing.
 * SPDX-License-Identifier: Apache-2.0 */
#include "cloud/limits.h"

#include <stdio.h>
#include <string.h>
#include <tern/error.h>
#include <tern/message.h>
#include <tern/transform.h>

#include "base/alloc.h"

/* The transform's own copy. */
typedef struct keeper {
    tern__service_limits limits; /* topics stand in `names` */
    char **names;
} keeper;

static bool is_known(const tern__service_limits *limits, const char *topic)
{
    for (size_t i = 0; i < limits->topic_count; i++)
        if (strncmp(topic, limits->topics[i], strlen(limits->topics[i])) == 0) return true;
    return limits->topics == NULL;
}

static unsigned slashes_of(const tern__service_limits *limits, const char *topic)
{
    enum { FREE = 3 /* "$aws/rules/name/" */ };
    unsigned count = 0;
    const char *prefix = limits->free_prefix;
    for (const char *at = topic; (at = strchr(at, '/')) != NULL; at++) count++;
    bool is_free = prefix != NULL && strncmp(topic, prefix, strlen(prefix)) == 0;
    return !is_free ? count : count > FREE ? count - FREE : 0;
}

static int check(const tern__service_limits *limits, const tern_message *message, char *why, size_t size)
{
    size_t bytes = tern_message_topic_length(message) + tern_message_payload_length(message);
    if (tern_message_qos(message) > limits->maximum_qos) {
        snprintf(why, size, "%s has no QoS %d: it would close the connection", limits->service, tern_message_qos(message));
        return TERN_E_UNSUPPORTED;
    }
    if (tern_message_retained(message) && !limits->retain) {
        snprintf(why, size, "%s keeps no retained messages", limits->service);
        return TERN_E_UNSUPPORTED;
    }
    if (limits->maximum_payload != 0 && tern_message_payload_length(message) > limits->maximum_payload) {
        snprintf(why, size, "%s takes payloads of %zu bytes at most, and this one has %zu", limits->service,
                 limits->maximum_payload, tern_message_payload_length(message));
        return TERN_E_TOO_LARGE;
    }
    if (limits->maximum_topic != 0 && tern_message_topic_length(message) > limits->maximum_topic) {
        snprintf(why, size, "%s takes topics of %zu bytes at most", limits->service, limits->maximum_topic);
        return TERN_E_TOO_LARGE;
    }
    if (limits->maximum_slashes != 0 && slashes_of(limits, tern_message_topic(message)) > limits->maximum_slashes) {
        snprintf(why, size, "%s takes topics with %u slashes at most", limits->service, limits->maximum_slashes);
        return TERN_E_TOPIC;
    }
    if (limits->maximum_bytes != 0 && bytes > limits->maximum_bytes) {
        snprintf(why, size, "%s takes no more than %zu bytes, and topic and payload have %zu", limits->service,
                 limits->maximum_bytes, bytes);
        return TERN_E_TOO_LARGE;
    }
    if (is_known(limits, tern_message_topic(message))) return 0;
    snprintf(why, size, "%s has no such topic: it would close the connection", limits->service);
    return TERN_E_UNSUPPORTED;
}

static int on_outgoing(tern_client *client, tern_outgoing *outgoing, void *user_data)
{
    const keeper *k = user_data;
    char why[200];
    (void)client;
    int rc = check(&k->limits, tern_outgoing_message(outgoing), why, sizeof why);
    if (rc != 0) (void)tern_outgoing_explain(outgoing, why);
    return rc;
}

static void on_release(void *user_data)
{
    keeper *k = user_data;
    for (size_t i = 0; k->names != NULL && i < k->limits.topic_count; i++) tern__free(k->names[i]);
    tern__free(k->names);
    tern__free(k);
}

static int keep_topics(keeper *k)
{
    const char *const *topics = k->limits.topics;
    if (topics == NULL) return 0;
    k->names = tern__calloc(k->limits.topic_count + 1, sizeof *k->names);
    if (k->names == NULL) return TERN_E_NOMEM;
    for (size_t i = 0; i < k->limits.topic_count; i++) {
        k->names[i] = tern__strdup(topics[i]);
        if (k->names[i] == NULL) return TERN_E_NOMEM;
    }
    k->limits.topics = (const char *const *)k->names;
    return 0;
}

int tern__service_limits_transform(tern_transform **transform, const tern__service_limits *limits)
{
    *transform = NULL;
    keeper *k = tern__calloc(1, sizeof *k);
    if (k == NULL) return TERN_E_NOMEM;
    k->limits = *limits;
    int rc = keep_topics(k);
    if (rc == 0) rc = tern_transform_new(transform, on_outgoing, NULL, on_release, k);
    if (rc != 0) on_release(k);
    return rc;
}
