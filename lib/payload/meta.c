/* Meta messages and the memory of what they said.
 * SPDX-License-Identifier: Apache-2.0 */
#include "payload/meta.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#ifdef TERN_WITH_CJSON
#include <cjson/cJSON.h>
#endif

/* ---- JSON ---- */

size_t tern__meta_write(const tern__meta *meta, char text[TERN__META_TEXT])
{
    int len = meta->compressed ? snprintf(text, TERN__META_TEXT,
                                          "{\"compressed\": true, \"encoding\": \"gzip\", \"original_size\": %" PRIu64
                                          ", \"compressed_size\": %" PRIu64 ", \"crc32\": %" PRIu32 ", \"seq\": %" PRIu64 "}",
                                          meta->original_size, meta->compressed_size, meta->crc32, meta->seq)
                               : snprintf(text, TERN__META_TEXT, "{\"compressed\": false, \"original_size\": %" PRIu64
                                          ", \"seq\": %" PRIu64 "}", meta->original_size, meta->seq);
    return (size_t)len;
}

#ifdef TERN_WITH_CJSON

/* A whole number from 0 on that a double holds exactly; false for all else. */
static bool read_number(const cJSON *object, const char *name, uint64_t *value)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble > 9007199254740992.0) return false;
    *value = (uint64_t)item->valuedouble;
    return (double)*value == item->valuedouble;
}

bool tern__meta_read(const void *data, size_t len, tern__meta *meta)
{
    enum { LONGEST = 4096 /* no meta message is longer: nobody is made to parse megabytes */ };
    *meta = (tern__meta){0};
    const char *text = data;
    while (len != 0 && memchr(" \t\r\n", *text, 4) != NULL) text++, len--;
    if (len < 2 || len > LONGEST || *text != '{') return false;
    cJSON *object = cJSON_ParseWithLength(text, len);
    const cJSON *compressed = cJSON_GetObjectItemCaseSensitive(object, "compressed");
    bool is_meta = cJSON_IsBool(compressed);
    if (is_meta) {
        uint64_t crc = 0;
        meta->compressed = cJSON_IsTrue(compressed);
        meta->sized = read_number(object, "original_size", &meta->original_size);
        if (meta->compressed)
            meta->sized = meta->sized && read_number(object, "compressed_size", &meta->compressed_size) &&
                          read_number(object, "crc32", &crc) && crc <= UINT32_MAX;
        meta->crc32 = (uint32_t)crc;
        (void)read_number(object, "seq", &meta->seq);
    }
    cJSON_Delete(object);
    return is_meta;
}

#else

bool tern__meta_read(const void *data, size_t len, tern__meta *meta)
{
    (void)data, (void)len;
    *meta = (tern__meta){0};
    return false;
}

#endif

bool tern__meta_fits(const tern__meta *meta, size_t len)
{
    return meta->sized && (meta->compressed ? meta->compressed_size : meta->original_size) == len;
}

/* ---- hints ---- */

enum { HINTS_MAX = 1024, HINT_AGE_US = 60 * 1000000 };

typedef struct hint {
    tern__list link;
    tern__meta meta;
    const void *client;
    uint64_t at;
    size_t len;
    char topic[];
} hint;

int tern__hints_init(tern__hints *hints)
{
    tern__list_init(&hints->list);
    hints->count = 0;
    return tern__mutex_init(&hints->lock);
}

static hint *hint_of(tern__list *link)
{
    return TERN__CONTAINER(link, hint, link);
}

static void forget_locked(tern__hints *hints, hint *it)
{
    tern__list_remove(&it->link);
    tern__free(it);
    hints->count--;
}

void tern__hints_deinit(tern__hints *hints)
{
    while (!tern__list_empty(&hints->list)) forget_locked(hints, hint_of(hints->list.next));
    tern__mutex_deinit(&hints->lock);
}

static bool is_about(const hint *it, const void *client, const char *topic, size_t len)
{
    return it->client == client && it->len == len && memcmp(it->topic, topic, len) == 0;
}

/* The one without sizes that the new one is to replace; NULL where there is none. */
static hint *find_unsized_locked(tern__hints *hints, const void *client, const char *topic, size_t len)
{
    for (tern__list *link = hints->list.prev; link != &hints->list; link = link->prev)
        if (!hint_of(link)->meta.sized && is_about(hint_of(link), client, topic, len)) return hint_of(link);
    return NULL;
}

/* The oldest that fits the payload, else the newest. */
static hint *find_locked(tern__hints *hints, const void *client, const char *topic, size_t len, size_t payload_len)
{
    hint *found = NULL;
    for (tern__list *link = hints->list.next; link != &hints->list; link = link->next) {
        if (!is_about(hint_of(link), client, topic, len)) continue;
        found = hint_of(link);
        if (tern__meta_fits(&found->meta, payload_len)) return found;
    }
    return found;
}

static void drop_old_locked(tern__hints *hints, uint64_t now)
{
    while (!tern__list_empty(&hints->list)) {
        hint *oldest = hint_of(hints->list.next);
        if (hints->count < HINTS_MAX && now - oldest->at < HINT_AGE_US) return;
        forget_locked(hints, oldest);
    }
}

void tern__hints_put(tern__hints *hints, const void *client, const char *topic, size_t len, const tern__meta *meta, uint64_t now)
{
    hint *fresh = tern__malloc(sizeof *fresh + len);
    tern__mutex_lock(&hints->lock);
    hint *old = meta->sized ? NULL : find_unsized_locked(hints, client, topic, len);
    if (old != NULL) forget_locked(hints, old);
    drop_old_locked(hints, now);
    if (fresh != NULL) {
        tern__list_init(&fresh->link);
        fresh->meta = *meta;
        fresh->client = client;
        fresh->at = now;
        fresh->len = len;
        memcpy(fresh->topic, topic, len);
        tern__list_append(&hints->list, &fresh->link);
        hints->count++;
    }
    tern__mutex_unlock(&hints->lock);
}

bool tern__hints_take(tern__hints *hints, const void *client, const char *topic, size_t len, size_t payload_len,
                      tern__meta *meta, uint64_t now)
{
    tern__mutex_lock(&hints->lock);
    hint *it = find_locked(hints, client, topic, len, payload_len);
    bool found = it != NULL && now - it->at < HINT_AGE_US;
    if (found) *meta = it->meta;
    if (it != NULL) forget_locked(hints, it);
    tern__mutex_unlock(&hints->lock);
    return found;
}
