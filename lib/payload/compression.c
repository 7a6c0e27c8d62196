/* Compression: its settings, its statistics, and the subscriptions that meta topics need.
 * SPDX-License-Identifier: Apache-2.0 */
#include "payload/compression.h"

#include <stdio.h>
#include <string.h>
#include <tern/client.h>
#include <tern/message.h>
#include <tern/options.h>
#include <tern/subscription.h>

#include "base/alloc.h"

/* ---- life ---- */

int tern_compression_new(tern_compression **compression)
{
    if (compression == NULL) return TERN_E_INVALID;
    *compression = NULL;
#ifdef TERN_WITH_ZLIB
    enum { THRESHOLD = 100, LEVEL = 6, GAIN = 10, MAX_BYTES = 16 << 20, MAX_RATIO = 200 };
    tern_compression *made = tern__calloc(1, sizeof *made);
    if (made == NULL) return TERN_E_NOMEM;
    atomic_init(&made->refs, 1);
    made->threshold = THRESHOLD;
    made->level = LEVEL;
    made->minimal_gain = GAIN;
    made->limits = (tern__gzip_limits){MAX_BYTES, MAX_RATIO};
    int rc = tern__mutex_init(&made->lock);
    if (rc == 0) {
        rc = tern__hints_init(&made->hints);
        if (rc != 0) tern__mutex_deinit(&made->lock);
    }
    if (rc != 0) {
        tern__free(made);
        return rc;
    }
    *compression = made;
    return 0;
#else
    return TERN_E_UNSUPPORTED;
#endif
}

static void ref(tern_compression *compression)
{
    atomic_fetch_add_explicit(&compression->refs, 1, memory_order_relaxed);
}

void tern_compression_unref(tern_compression *compression)
{
    if (compression == NULL || atomic_fetch_sub_explicit(&compression->refs, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < compression->idle_count; i++) tern__gzip_free(compression->idle[i]);
    for (size_t i = 0; i < compression->rule_count; i++) tern__free(compression->rules[i].filter);
    tern__free(compression->rules);
    tern__hints_deinit(&compression->hints);
    tern__mutex_deinit(&compression->lock);
    tern__free(compression);
}

static void on_release(void *user_data)
{
    tern_compression_unref(user_data);
}

int tern_client_options_set_compression(tern_client_options *options, tern_compression *compression)
{
    tern_transform *transform = NULL;
    if (options == NULL || compression == NULL) return TERN_E_INVALID;
    int rc = tern_transform_new(&transform, tern__compression_outgoing, tern__compression_incoming, on_release, compression);
    if (rc != 0) return rc;
    ref(compression); /* the transform's */
    rc = tern_client_options_add_transform(options, transform);
    if (rc == 0) compression->sealed = true;
    tern_transform_unref(transform);
    return rc;
}

/* ---- settings ---- */

static int may_set(const tern_compression *compression, bool valid)
{
    if (compression == NULL || !valid) return TERN_E_INVALID;
    return compression->sealed ? TERN_E_STATE : 0;
}

static bool is_encoding(tern_encoding encoding)
{
    return (unsigned)encoding <= TERN_ENCODING_GZIP;
}

int tern_compression_set_default(tern_compression *compression, tern_encoding encoding)
{
    int rc = may_set(compression, is_encoding(encoding));
    if (rc == 0) compression->fallback = encoding;
    return rc;
}

int tern_compression_add_filter(tern_compression *compression, const char *filter, tern_encoding encoding)
{
    int rc = may_set(compression, filter != NULL && is_encoding(encoding));
    if (rc != 0) return rc;
    rc = tern_filter_matches(filter, "t"); /* a check of the filter */
    if (rc < 0) return rc;
    char *copy = tern__strdup(filter);
    tern__compression_rule *rules = NULL;
    if (copy != NULL) rules = tern__realloc(compression->rules, (compression->rule_count + 1) * sizeof *rules);
    if (rules == NULL) {
        tern__free(copy);
        return TERN_E_NOMEM;
    }
    rules[compression->rule_count++] = (tern__compression_rule){copy, encoding};
    compression->rules = rules;
    return 0;
}

int tern_compression_set_threshold(tern_compression *compression, size_t bytes)
{
    int rc = may_set(compression, true);
    if (rc == 0) compression->threshold = bytes;
    return rc;
}

int tern_compression_set_level(tern_compression *compression, int level)
{
    int rc = may_set(compression, level >= 1 && level <= 9);
    if (rc == 0) compression->level = level;
    return rc;
}

int tern_compression_set_minimal_gain(tern_compression *compression, int percent)
{
    int rc = may_set(compression, percent >= 0 && percent <= 99);
    if (rc == 0) compression->minimal_gain = percent;
    return rc;
}

int tern_compression_set_form(tern_compression *compression, tern_compression_form form)
{
    int rc = may_set(compression, (unsigned)form <= TERN_COMPRESSION_META_TOPIC);
#ifndef TERN_WITH_CJSON
    if (rc == 0 && form == TERN_COMPRESSION_META_TOPIC) rc = TERN_E_UNSUPPORTED;
#endif
    if (rc == 0) compression->form = form;
    return rc;
}

int tern_compression_set_decompression(tern_compression *compression, tern_decompression what)
{
    int rc = may_set(compression, (unsigned)what <= TERN_DECOMPRESSION_OFF);
    if (rc == 0) compression->decompression = what;
    return rc;
}

int tern_compression_set_limits(tern_compression *compression, size_t max_bytes, uint32_t max_ratio)
{
    int rc = may_set(compression, max_bytes != 0 && max_bytes <= UINT32_MAX / 2 && max_ratio != 0);
    if (rc == 0) compression->limits = (tern__gzip_limits){max_bytes, max_ratio};
    return rc;
}

int tern_compression_set_deliver_meta(tern_compression *compression, int deliver)
{
    int rc = may_set(compression, deliver == 0 || deliver == 1);
    if (rc == 0) compression->deliver_meta = deliver != 0;
    return rc;
}

/* ---- working memory ---- */

tern__gzip *tern__compression_take(tern_compression *compression)
{
    tern__gzip *gzip = NULL;
    tern__mutex_lock(&compression->lock);
    if (compression->idle_count != 0) gzip = compression->idle[--compression->idle_count];
    tern__mutex_unlock(&compression->lock);
    return gzip != NULL ? gzip : tern__gzip_new(compression->level);
}

void tern__compression_give(tern_compression *compression, tern__gzip *gzip)
{
    tern__gzip_rest(gzip);
    tern__mutex_lock(&compression->lock);
    bool kept = compression->idle_count < TERN__GZIP_IDLE;
    if (kept) compression->idle[compression->idle_count++] = gzip;
    tern__mutex_unlock(&compression->lock);
    if (!kept) tern__gzip_free(gzip);
}

/* ---- subscribing ---- */

static bool ends_with(const char *text, size_t len, const char *end)
{
    size_t end_len = strlen(end);
    return len >= end_len && memcmp(text + len - end_len, end, end_len) == 0;
}

/* Whether this filter needs another one for its metas. */
static bool needs_meta(const tern_compression *compression, const char *filter)
{
    return compression->form == TERN_COMPRESSION_META_TOPIC && !ends_with(filter, strlen(filter), "#");
}

/* `<filter>/meta`, in memory of its own. */
static int meta_filter(const char *filter, char **text)
{
    size_t len = strlen(filter);
    if (strncmp(filter, "$share/", 7) == 0 || ends_with(filter, len, "/meta")) return TERN_E_FILTER;
    *text = tern__malloc(len + sizeof "/meta");
    if (*text == NULL) return TERN_E_NOMEM;
    memcpy(*text, filter, len);
    memcpy(*text + len, "/meta", sizeof "/meta");
    return 0;
}

typedef int (*request)(tern_client *client, const tern_subscription *subscription, tern_token **token);

static int ask_for_both(tern_client *client, request call, const char *filter, uint32_t flags, tern_token **token)
{
    char *meta = NULL;
    tern_subscription *both = NULL;
    int rc = meta_filter(filter, &meta);
    if (rc == 0) rc = tern_subscription_new(&both);
    if (rc == 0) rc = tern_subscription_add(both, meta, flags); /* first: no payload comes before it is there */
    if (rc == 0) rc = tern_subscription_add(both, filter, flags);
    if (rc == 0) rc = call(client, both, token);
    tern_subscription_free(both);
    tern__free(meta);
    return rc;
}

int tern_compression_subscribe(tern_compression *compression, tern_client *client, const char *filter, uint32_t flags,
                               tern_token **token)
{
    if (token != NULL) *token = NULL;
    if (compression == NULL || filter == NULL) return TERN_E_INVALID;
    if (!needs_meta(compression, filter)) {
        bool shared = compression->form == TERN_COMPRESSION_META_TOPIC && strncmp(filter, "$share/", 7) == 0;
        return shared ? TERN_E_FILTER : tern_client_subscribe(client, filter, flags, token);
    }
    return ask_for_both(client, tern_client_subscribe_all, filter, flags, token);
}

int tern_compression_unsubscribe(tern_compression *compression, tern_client *client, const char *filter, tern_token **token)
{
    if (token != NULL) *token = NULL;
    if (compression == NULL || filter == NULL) return TERN_E_INVALID;
    if (!needs_meta(compression, filter)) return tern_client_unsubscribe(client, filter, token);
    return ask_for_both(client, tern_client_unsubscribe_all, filter, TERN_QOS_0, token);
}

/* ---- what is told ---- */

tern_compression_result tern_compression_result_of(const tern_message *message)
{
    return (tern_compression_result)tern_message_mark(message);
}

const char *tern_compression_result_name(tern_compression_result result)
{
    static const char *const names[] = {"raw", "inflated", "damaged", "too large", "mismatch", "no memory"};
    return (unsigned)result < sizeof names / sizeof names[0] ? names[result] : "?";
}

static const char *const counter_names[TERN__COMPRESSION_COUNTERS] = {
    [TERN__COMPRESSED] = "messages_compressed", [TERN__LEFT_RAW] = "messages_raw",
    [TERN__BYTES_BEFORE] = "bytes_before",      [TERN__BYTES_AFTER] = "bytes_after",
    [TERN__INFLATED] = "messages_inflated",     [TERN__DAMAGED] = "messages_damaged",
    [TERN__TOO_LARGE] = "messages_too_large",   [TERN__MISMATCHED] = "messages_mismatched",
    [TERN__METAS] = "metas_received",
};

size_t tern_compression_stat_count(void)
{
    return TERN__COMPRESSION_COUNTERS;
}

const char *tern_compression_stat_name(size_t index)
{
    return index < TERN__COMPRESSION_COUNTERS ? counter_names[index] : NULL;
}

int tern_compression_stat(tern_compression *compression, const char *name, uint64_t *value)
{
    if (value != NULL) *value = 0;
    if (compression == NULL || name == NULL || value == NULL) return TERN_E_INVALID;
    for (size_t i = 0; i < TERN__COMPRESSION_COUNTERS; i++) {
        if (strcmp(counter_names[i], name) != 0) continue;
        *value = atomic_load_explicit(&compression->counters[i], memory_order_relaxed);
        return 0;
    }
    return TERN_E_NOT_FOUND;
}
