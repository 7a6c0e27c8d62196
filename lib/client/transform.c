/* Transforms: what changes messages on their way out and in.
 * SPDX-License-Identifier: Apache-2.0 */
#include "client/transform.h"

#include <stdio.h>
#include <string.h>
#include <tern/message.h>

#include "base/alloc.h"
#include "base/log.h"
#include "client/options.h"
#include "engine/message.h"

/* ---- life ---- */

int tern_transform_new(tern_transform **transform, tern_outgoing_callback outgoing, tern_incoming_callback incoming,
                       tern_release_callback release, void *user_data)
{
    if (transform == NULL) return TERN_E_INVALID;
    *transform = tern__malloc(sizeof **transform);
    if (*transform == NULL) return TERN_E_NOMEM;
    **transform = (tern_transform){
        .outgoing = outgoing, .incoming = incoming, .release = release, .user_data = user_data};
    atomic_init(&(*transform)->refs, 1);
    return 0;
}

void tern_transform_unref(tern_transform *transform)
{
    if (transform == NULL || atomic_fetch_sub_explicit(&transform->refs, 1, memory_order_acq_rel) != 1) return;
    if (transform->release != NULL) transform->release(transform->user_data);
    tern__free(transform);
}

int tern_client_options_add_transform(tern_client_options *options, tern_transform *transform)
{
    if (options == NULL || transform == NULL) return TERN_E_INVALID;
    tern__transforms *transforms = &options->transforms;
    if (transforms->count == TERN__TRANSFORMS_MAX) return TERN_E_TOO_LARGE;
    atomic_fetch_add_explicit(&transform->refs, 1, memory_order_relaxed);
    transforms->at[transforms->count++] = transform;
    return 0;
}

void tern__transforms_ref(const tern__transforms *transforms)
{
    for (size_t i = 0; i < transforms->count; i++)
        atomic_fetch_add_explicit(&transforms->at[i]->refs, 1, memory_order_relaxed);
}

void tern__transforms_unref(tern__transforms *transforms)
{
    for (size_t i = 0; i < transforms->count; i++) tern_transform_unref(transforms->at[i]);
    transforms->count = 0;
}

/* ---- out ---- */

/* Leads outgoing->message through the transforms from `first` on. */
static int pass(const tern__transforms *transforms, tern_client *client, size_t first, tern_outgoing *outgoing)
{
    int rc = 0;
    for (size_t i = first; i < transforms->count && rc == 0; i++) {
        const tern_transform *transform = transforms->at[i];
        outgoing->at = i;
        if (transform->outgoing != NULL) rc = transform->outgoing(client, outgoing, transform->user_data);
    }
    return rc;
}

/* What a transform put before the message passes those that follow it. */
static int pass_companion(const tern__transforms *transforms, tern_client *client, tern_outgoing *outgoing, size_t index)
{
    tern_outgoing own = {.message = outgoing->before[index], .own = outgoing->before[index], .companion = true};
    own.flags = (uint32_t)tern_message_qos(own.message) | (tern_message_retained(own.message) ? TERN_RETAIN : 0);
    int rc = pass(transforms, client, outgoing->before_from[index], &own);
    outgoing->before[index] = own.own;
    memcpy(outgoing->text, own.text, sizeof own.text);
    return rc;
}

int tern__transforms_out(const tern__transforms *transforms, tern_client *client, const tern_message *message,
                         uint32_t flags, tern_outgoing *outgoing)
{
    outgoing->message = message;
    outgoing->own = NULL;
    outgoing->before_count = 0;
    outgoing->companion = false;
    outgoing->flags = flags;
    outgoing->text[0] = '\0';
    int rc = pass(transforms, client, 0, outgoing);
    for (size_t i = 0; i < outgoing->before_count && rc == 0; i++) rc = pass_companion(transforms, client, outgoing, i);
    if (rc > 0) rc = TERN_E_INVALID; /* no error of ours */
    if (rc != 0 && outgoing->text[0] == '\0')
        snprintf(outgoing->text, sizeof outgoing->text, "a transform refused: %s", tern_strerror(rc));
    return rc;
}

void tern__outgoing_deinit(tern_outgoing *outgoing)
{
    tern_message_unref(outgoing->own);
    for (size_t i = 0; i < outgoing->before_count; i++) tern_message_unref(outgoing->before[i]);
}

const tern_message *tern_outgoing_message(const tern_outgoing *outgoing)
{
    return outgoing != NULL ? outgoing->message : NULL;
}

uint32_t tern_outgoing_flags(const tern_outgoing *outgoing)
{
    return outgoing != NULL ? outgoing->flags : 0;
}

int tern_outgoing_replace(tern_outgoing *outgoing, tern_message *message)
{
    if (outgoing == NULL || message == NULL) {
        tern_message_unref(message);
        return TERN_E_INVALID;
    }
    if (message != outgoing->own) tern_message_unref(outgoing->own);
    outgoing->message = outgoing->own = message;
    return 0;
}

int tern_outgoing_precede(tern_outgoing *outgoing, tern_message *message)
{
    int rc = outgoing == NULL || message == NULL ? TERN_E_INVALID : 0;
    if (rc == 0 && outgoing->companion) rc = TERN_E_STATE;
    if (rc == 0 && outgoing->before_count == TERN__UNIT_MAX - 1) rc = TERN_E_TOO_LARGE;
    if (rc != 0) {
        tern_message_unref(message);
        return rc;
    }
    outgoing->before_from[outgoing->before_count] = outgoing->at + 1;
    outgoing->before[outgoing->before_count++] = message;
    return 0;
}

int tern_outgoing_explain(tern_outgoing *outgoing, const char *text)
{
    if (outgoing == NULL || text == NULL) return TERN_E_INVALID;
    snprintf(outgoing->text, sizeof outgoing->text, "%s", text);
    tern__log_clean(outgoing->text);
    return 0;
}

/* ---- in ---- */

void tern__transforms_in(const tern__transforms *transforms, tern_client *client, tern_message *message,
                         tern_incoming *incoming)
{
    *incoming = (tern_incoming){.message = message};
    for (size_t i = transforms->count; i-- > 0 && !incoming->dropped;) {
        const tern_transform *transform = transforms->at[i];
        if (transform->incoming != NULL) transform->incoming(client, incoming, transform->user_data);
    }
}

const tern_message *tern_incoming_message(const tern_incoming *incoming)
{
    return incoming != NULL ? incoming->message : NULL;
}

int tern_incoming_replace(tern_incoming *incoming, tern_message *message)
{
    if (incoming == NULL || message == NULL) {
        tern_message_unref(message);
        return TERN_E_INVALID;
    }
    if (message != incoming->own) tern_message_unref(incoming->own);
    incoming->message = incoming->own = message;
    return 0;
}

int tern_incoming_set_mark(tern_incoming *incoming, uint32_t mark)
{
    if (incoming == NULL) return TERN_E_INVALID;
    incoming->message->mark = mark;
    return 0;
}

int tern_incoming_drop(tern_incoming *incoming)
{
    if (incoming == NULL) return TERN_E_INVALID;
    incoming->dropped = true;
    return 0;
}
