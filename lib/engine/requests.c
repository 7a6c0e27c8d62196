/* Requests: subscribing and unsubscribing, and the wishes that outlive connections. [C21]
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "codec/decode.h"
#include "codec/props.h"
#include "codec/topic.h"
#include "engine/machine.h"
#include "engine/subscription.h"

enum { RETAIN_HANDLING = 0x30 };

static tern__request *request_of(tern__list *link)
{
    return TERN__CONTAINER(link, tern__request, link);
}

static void request_free(tern__request *request)
{
    tern__buf_deinit(&request->filters);
    tern__buf_deinit(&request->user_properties);
    tern__free(request);
}

static tern__request *request_new(void)
{
    tern__request *request = tern__calloc(1, sizeof *request);
    if (request != NULL) tern__list_init(&request->link);
    return request;
}

/* A request for so many filters, which lie there in the form of SUBSCRIBE. NULL where memory ran out. */
static tern__request *request_for(const tern_subscription *subscription, const uint8_t *filters, size_t len, uint32_t count,
                                  bool unsubscribe)
{
    tern__request *request = request_new();
    if (request == NULL) return NULL;
    int rc = tern__buf_append(&request->filters, filters, len);
    if (rc == 0)
        rc = tern__buf_append(&request->user_properties, subscription->user_properties.data,
                              subscription->user_properties.len);
    if (rc != 0) {
        request_free(request);
        return NULL;
    }
    request->count = count;
    request->identifier = subscription->identifier;
    request->unsubscribe = unsubscribe;
    return request;
}

/* One request for every `most` filters, in order. */
static int make_parts(const tern_subscription *subscription, bool unsubscribe, uint32_t most, tern__list *parts, uint32_t *made)
{
    tern__view rest = {subscription->filters.data, subscription->filters.len};
    const uint8_t *start = rest.data;
    tern__view filter;
    uint32_t count = 0;
    uint32_t place = 0;
    while (tern__filters_next(&rest, true, &filter, NULL)) {
        count++;
        if (count < most && rest.len != 0) continue;
        tern__request *part = request_for(subscription, start, (size_t)(rest.data - start), count, unsubscribe);
        if (part == NULL) return TERN_E_NOMEM;
        part->place = place;
        tern__list_append(parts, &part->link);
        (*made)++;
        place += count;
        count = 0;
        start = rest.data;
    }
    return 0;
}

/* More filters than a packet may have: parts that end together. */
static int add_split(tern__engine *e, const tern_subscription *subscription, bool unsubscribe, tern__completion *completion)
{
    tern__list parts;
    tern__list *link;
    tern__list_init(&parts);
    tern__split *split = tern__calloc(1, sizeof *split + subscription->count);
    if (split == NULL) return TERN_E_NOMEM;
    split->completion = completion;
    split->count = subscription->count;
    int rc = make_parts(subscription, unsubscribe, e->config.filters_per_subscribe, &parts, &split->parts);
    if (rc != 0) {
        while ((link = tern__list_shift(&parts)) != NULL) request_free(request_of(link));
        tern__free(split);
        return rc;
    }
    for (link = parts.next; link != &parts; link = link->next) request_of(link)->split = split;
    tern__list_splice(&e->requests.waiting, &parts);
    return 0;
}

int tern__requests_add(tern__engine *e, const tern_subscription *subscription, bool unsubscribe, tern__completion *completion)
{
    uint32_t most = e->config.filters_per_subscribe;
    if (most != 0 && subscription->count > most) return add_split(e, subscription, unsubscribe, completion);
    tern__request *request =
        request_for(subscription, subscription->filters.data, subscription->filters.len, subscription->count, unsubscribe);
    if (request == NULL) return TERN_E_NOMEM;
    request->completion = completion;
    tern__list_append(&e->requests.waiting, &request->link);
    return 0;
}

static void complete(tern__engine *e, tern__request *request, int error)
{
    tern__completion *completion = request->completion;
    request->completion = NULL;
    if (completion == NULL) return;
    completion->error = error;
    tern__list_append(&e->outcomes.completions, &completion->link);
}

/* Gives what the parts brought to whoever asked. */
static void complete_split(tern__engine *e, tern__split *split)
{
    tern__completion *completion = split->completion;
    if (completion == NULL) {
        tern__free(split->reason_string);
        return;
    }
    bool coded = split->answered == split->count; /* a 3.1.1 UNSUBACK has no codes */
    completion->codes = coded ? tern__memdup(split->codes, split->count) : NULL;
    completion->code_count = completion->codes != NULL ? split->count : 0;
    completion->reason_string = split->reason_string;
    completion->error = split->error != 0 ? split->error : coded && completion->codes == NULL ? TERN_E_NOMEM : 0;
    tern__list_append(&e->outcomes.completions, &completion->link);
}

static char *reason_string(const tern__packet *packet)
{
    tern__prop prop;
    if (!tern__props_has(&packet->props, TERN__PROP_REASON_STRING) ||
        !tern__props_find(&packet->props, TERN__PROP_REASON_STRING, &prop))
        return NULL;
    return tern__memdup(prop.text.data, prop.text.len);
}

/* The request has its end: with the server's answer (packet), or an error. */
static void end_request(tern__engine *e, tern__request *request, const tern__packet *packet, int error)
{
    tern__view codes = packet != NULL ? packet->u.suback.codes : (tern__view){NULL, 0};
    tern__split *split = request->split;
    request->split = NULL;
    if (split != NULL) {
        if (codes.len != 0) memcpy(split->codes + request->place, codes.data, codes.len);
        split->answered += (uint32_t)codes.len;
        if (split->error == 0) split->error = error;
        if (packet != NULL && split->reason_string == NULL) split->reason_string = reason_string(packet);
        if (--split->parts != 0) return;
        complete_split(e, split);
        tern__free(split);
        return;
    }
    if (request->completion == NULL) return;
    if (packet != NULL) {
        request->completion->codes = codes.len != 0 ? tern__memdup(codes.data, codes.len) : NULL;
        request->completion->code_count = request->completion->codes != NULL ? (uint32_t)codes.len : 0;
        request->completion->reason_string = reason_string(packet);
        if (codes.len != 0 && request->completion->codes == NULL) error = TERN_E_NOMEM;
    }
    complete(e, request, error);
}

/* ---- sending ---- */

/* The filters as this packet wants them: options without what 3.1.1 does not know, or no options at all. */
static int wire_filters(const tern__engine *e, const tern__request *request, tern__buf *out)
{
    tern__view rest = {request->filters.data, request->filters.len};
    tern__view filter;
    uint8_t options;
    int rc = tern__buf_reserve(out, request->filters.len);
    while (rc == 0 && tern__filters_next(&rest, true, &filter, &options)) {
        uint8_t head[2] = {(uint8_t)(filter.len >> 8), (uint8_t)filter.len};
        /* Retained messages once more only where the broker does not know the subscription any more. [MQTT5-3.8.3.1] */
        if (request->repeat && (options & RETAIN_HANDLING) == 0) options |= TERN_RETAINED_IF_NEW;
        if (e->limits.version == TERN__V311) options &= 3;
        rc = tern__buf_append(out, head, sizeof head);
        if (rc == 0) rc = tern__buf_append(out, filter.data, filter.len);
        if (rc == 0 && !request->unsubscribe) rc = tern__buf_append(out, &options, 1);
    }
    return rc;
}

static int wire_props(const tern__engine *e, const tern__request *request, tern__buf *out)
{
    if (e->limits.version != TERN__V5) return 0;
    int rc = 0;
    if (request->identifier != 0 && !request->unsubscribe)
        rc = tern__props_add_number(out, TERN__PROP_SUBSCRIPTION_ID, request->identifier);
    return rc != 0 ? rc : tern__buf_append(out, request->user_properties.data, request->user_properties.len);
}

/* Composes the packet. 0, TERN_E_NOMEM, or TERN_E_TOO_LARGE for this server. */
static int send_request(tern__engine *e, tern__request *request)
{
    tern__slot *slot = tern__inflight_open(&e->inflight, TERN__SLOT_REQUEST, NULL);
    if (slot == NULL) return TERN_E_AGAIN; /* all ids are in use, or no memory for more: later */
    tern__buf filters = {0};
    tern__buf props = {0};
    int rc = wire_filters(e, request, &filters);
    if (rc == 0) rc = wire_props(e, request, &props);
    if (rc == 0) {
        tern__packet packet = {.type = request->unsubscribe ? TERN__UNSUBSCRIBE : TERN__SUBSCRIBE};
        packet.props = (tern__props){props.data, props.len, 0};
        packet.u.subscribe = (tern__subscribe_packet){slot->packet_id, request->count, {filters.data, filters.len}};
        rc = tern__output_packet(e, &packet);
    }
    tern__buf_deinit(&filters);
    tern__buf_deinit(&props);
    if (rc != 0) {
        tern__inflight_close(&e->inflight, slot);
        return rc;
    }
    slot->of.request = request;
    request->packet_id = slot->packet_id;
    return 0;
}

/* Whether the server has said that it cannot do what the request asks for: then it is not sent. [V5-U-10] */
static bool uses_unavailable(const tern__engine *e, const tern__request *request)
{
    const tern__limits *limits = &e->limits;
    if (request->unsubscribe || limits->version != TERN__V5) return false;
    if (request->identifier != 0 && !limits->subscription_id_available) return true;
    if (limits->wildcard_available && limits->shared_available) return false;
    tern__view rest = {request->filters.data, request->filters.len};
    tern__view filter;
    uint8_t options;
    while (tern__filters_next(&rest, true, &filter, &options)) {
        const char *text = (const char *)filter.data;
        size_t start = 0;
        if (tern__filter_shared(text, filter.len, &start) && !limits->shared_available) return true;
        bool wild = memchr(text + start, '+', filter.len - start) != NULL || text[filter.len - 1] == '#';
        if (wild && !limits->wildcard_available) return true;
    }
    return false;
}

/* What was not sent is at the end: thousands that wait for answers are not looked at for each that follows. */
static tern__list *first_unsent(tern__requests *requests)
{
    tern__list *link = requests->waiting.prev;
    while (link != &requests->waiting && request_of(link)->packet_id == 0) link = link->prev;
    return link->next;
}

int tern__requests_send(tern__engine *e)
{
    if (e->requests.stalled && e->inflight.used == UINT16_MAX) return 0;
    tern__list *link = first_unsent(&e->requests);
    e->requests.stalled = false;
    while (link != &e->requests.waiting) {
        tern__request *request = request_of(link);
        link = link->next;
        int rc = uses_unavailable(e, request) ? TERN_E_UNSUPPORTED : send_request(e, request);
        if (rc == TERN_E_AGAIN) {
            e->requests.stalled = true;
            return 0;
        }
        if (rc == TERN_E_NOMEM) return rc;
        if (rc == 0) continue;
        tern__list_remove(&request->link); /* this server will never take it */
        end_request(e, request, NULL, rc);
        request_free(request);
    }
    return 0;
}

/* ---- wishes ---- */

/* Takes a filter out of a wish. */
static void wish_remove(tern__request *wish, tern__view filter)
{
    tern__view rest = {wish->filters.data, wish->filters.len};
    tern__view found;
    size_t kept = 0;
    const uint8_t *start = rest.data;
    while (tern__filters_next(&rest, true, &found, NULL)) {
        size_t len = (size_t)(rest.data - start);
        bool same = found.len == filter.len && memcmp(found.data, filter.data, filter.len) == 0;
        if (same) {
            wish->count--;
        } else {
            memmove(wish->filters.data + kept, start, len);
            kept += len;
        }
        start = rest.data;
    }
    wish->filters.len = kept;
}

/* Takes the filters of a request out of all wishes: they were given up, or asked for anew. */
static void forget(tern__engine *e, const tern__request *request)
{
    tern__view rest = {request->filters.data, request->filters.len};
    tern__view filter;
    while (tern__filters_next(&rest, true, &filter, NULL)) {
        tern__list *link = e->requests.wishes.next;
        while (link != &e->requests.wishes) {
            tern__request *wish = request_of(link);
            link = link->next;
            wish_remove(wish, filter);
            if (wish->count != 0) continue;
            tern__list_remove(&wish->link);
            request_free(wish);
        }
    }
}

/* Keeps of an answered request the filters that were granted, or those that were refused. */
static void keep_answered(tern__request *request, tern__view codes, bool granted)
{
    tern__view rest = {request->filters.data, request->filters.len};
    tern__view filter;
    size_t kept = 0;
    uint32_t left = 0;
    const uint8_t *start = rest.data;
    for (size_t i = 0; tern__filters_next(&rest, true, &filter, NULL); i++) {
        size_t len = (size_t)(rest.data - start);
        if ((codes.data[i] < 0x80) == granted) {
            memmove(request->filters.data + kept, start, len);
            kept += len;
            left++;
        }
        start = rest.data;
    }
    request->filters.len = kept;
    request->count = left;
}

/* A filter, with its length and options, goes to the requests once more: to `*into`, or to a new request where that is full. */
static int renew_filter(tern__engine *e, const tern__request *wish, const uint8_t *entry, size_t len, tern__request **into)
{
    enum { PACKET_BYTES = 32 << 10, AROUND = 16 };
    size_t limit = e->limits.maximum_packet_size < PACKET_BYTES ? e->limits.maximum_packet_size : PACKET_BYTES;
    tern__request *request = *into;
    uint32_t most = e->config.filters_per_subscribe;
    if (request != NULL && request->filters.len + len + request->user_properties.len + AROUND > limit) request = NULL;
    if (request != NULL && most != 0 && request->count == most) request = NULL;
    int rc = 0;
    if (request == NULL) {
        request = request_new();
        if (request == NULL) return TERN_E_NOMEM;
        request->repeat = true;
        request->identifier = wish->identifier;
        tern__list_append(&e->requests.waiting, &request->link);
        rc = tern__buf_append(&request->user_properties, wish->user_properties.data, wish->user_properties.len);
        *into = request;
    }
    if (rc == 0) rc = tern__buf_append(&request->filters, entry, len);
    if (rc == 0) request->count++;
    return rc;
}

/* A wish becomes requests without an asker, by filters: this server may take less at once than the one that granted it. Wishes
 * without properties of their own share a packet. */
static int renew_wish(tern__engine *e, const tern__request *wish, tern__request **shared)
{
    tern__request *own = NULL;
    bool plain = wish->identifier == 0 && wish->user_properties.len == 0;
    tern__view rest = {wish->filters.data, wish->filters.len};
    const uint8_t *start = rest.data;
    tern__view filter;
    int rc = 0;
    while (rc == 0 && tern__filters_next(&rest, true, &filter, NULL)) {
        rc = renew_filter(e, wish, start, (size_t)(rest.data - start), plain ? shared : &own);
        start = rest.data;
    }
    return rc;
}

static void drop_repeats(tern__engine *e)
{
    tern__list *link = e->requests.waiting.next;
    while (link != &e->requests.waiting) {
        tern__request *request = request_of(link);
        link = link->next;
        if (!request->repeat) continue;
        tern__list_remove(&request->link);
        request_free(request);
    }
}

/* Older wishes go before requests that wait: what was asked later wins. [C7] */
int tern__requests_renew(tern__engine *e)
{
    if (!e->requests.renew) return 0;
    tern__list later;
    tern__list_init(&later);
    tern__list_splice(&later, &e->requests.waiting);
    tern__request *shared = NULL;
    int rc = 0;
    for (tern__list *link = e->requests.wishes.next; link != &e->requests.wishes && rc == 0; link = link->next)
        rc = renew_wish(e, request_of(link), &shared);
    if (rc != 0) drop_repeats(e);
    tern__list_splice(&e->requests.waiting, &later);
    if (rc == 0) e->requests.renew = false;
    return rc;
}

void tern__requests_lost(tern__engine *e)
{
    for (tern__list *link = e->requests.waiting.next; link != &e->requests.waiting; link = link->next) {
        tern__request *request = request_of(link);
        if (request->repeat) e->requests.renew = true; /* unanswered: all wishes again */
        if (request->packet_id == 0) continue;
        tern__slot *slot = tern__inflight_find(&e->inflight, request->packet_id);
        if (slot != NULL) tern__inflight_close(&e->inflight, slot);
        request->packet_id = 0;
    }
    drop_repeats(e);
}

/* ---- answers ---- */

void tern__requests_answered(tern__engine *e, tern__slot *slot, const tern__packet *packet)
{
    tern__request *request = slot->of.request;
    tern__view codes = packet->u.suback.codes;
    tern__inflight_close(&e->inflight, slot);
    tern__list_remove(&request->link);
    request->packet_id = 0;
    end_request(e, request, packet, 0);
    if (request->repeat) keep_answered(request, codes, false); /* a wish that is refused now is not made again */
    forget(e, request);
    if (request->unsubscribe || request->repeat) {
        request_free(request);
        return;
    }
    keep_answered(request, codes, true);
    if (request->count == 0) {
        request_free(request);
    } else {
        tern__list_append(&e->requests.wishes, &request->link);
    }
}

void tern__requests_abandon(tern__engine *e, int error)
{
    tern__list *link;
    while ((link = tern__list_shift(&e->requests.waiting)) != NULL) {
        end_request(e, request_of(link), NULL, error);
        request_free(request_of(link));
    }
}

void tern__requests_deinit(tern__engine *e)
{
    tern__list *link;
    while ((link = tern__list_shift(&e->requests.waiting)) != NULL) {
        tern__request *request = request_of(link);
        tern__split *split = request->split;
        if (split != NULL && --split->parts == 0) {
            tern__free(split->reason_string);
            tern__free(split);
        }
        request_free(request);
    }
    while ((link = tern__list_shift(&e->requests.wishes)) != NULL) request_free(request_of(link));
}
