/* Reading a batch: each message of the array, or what is wrong with it.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <tern/batch.h>
#include <tern/message.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/log.h"

#ifdef TERN_WITH_CJSON

#include <cjson/cJSON.h>

/* cJSON's strings end at the first NUL. Where a text has the escape of one, a character stands for it that no text has (U+FDD0 is
 * none, Unicode section 23.7) until the string is looked at. */
static const char nul_escape[] = "\\u0000";
static const char stand_in_escape[] = "\\ufdd0";
static const char stand_in[] = "\xEF\xB7\x90";

typedef struct reader {
    const char *trouble; /* of the first bad item */
    const char *member;  /* that it is about; NULL the item as a whole */
    size_t index;
    bool has_nul; /* stand-ins stand for NULs */
} reader;

static int bad(reader *r, const char *member, const char *trouble)
{
    r->member = member;
    r->trouble = trouble;
    return TERN_E_MALFORMED;
}

static bool is_nul_escape(const char *at, size_t left)
{
    return left >= sizeof nul_escape - 1 && memcmp(at, nul_escape, sizeof nul_escape - 1) == 0;
}

static bool has_nul_escape(const char *text, size_t len)
{
    const char *end = text + len;
    for (const char *at = text; (at = memchr(at, '\\', (size_t)(end - at))) != NULL; at += 2) {
        if (is_nul_escape(at, (size_t)(end - at))) return true;
        if (end - at < 2) return false;
    }
    return false;
}

/* The text with stand-ins for its NULs, in memory of its own; NULL where memory ran out. An escape counts where an even number of
 * backslashes is before it. */
static char *replace_nuls(const char *text, size_t len)
{
    char *copy = tern__malloc(len + 1);
    if (copy == NULL) return NULL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    for (size_t at = 0; at + 1 < len; at++) {
        if (copy[at] != '\\') continue;
        if (is_nul_escape(copy + at, len - at))
            memcpy(copy + at, stand_in_escape, sizeof stand_in_escape - 1);
        at++; /* whatever is escaped */
    }
    return copy;
}

/* Puts NULs where stand-ins are; returns the length. */
static size_t restore_nuls(char *text)
{
    size_t len = strlen(text);
    size_t kept = 0;
    for (size_t at = 0; at < len; kept++) {
        bool stands = len - at >= sizeof stand_in - 1 && memcmp(text + at, stand_in, sizeof stand_in - 1) == 0;
        text[kept] = stands ? '\0' : text[at];
        at += stands ? sizeof stand_in - 1 : 1;
    }
    return kept;
}

static int decode_base64(reader *r, char *text, size_t len, size_t *decoded)
{
    size_t where;
    uint8_t *bytes = tern__malloc(TERN__BASE64_BYTES(len) + 1);
    if (bytes == NULL) return TERN_E_NOMEM;
    bool good = tern__base64_decode(text, len, bytes, decoded, &where);
    if (good) memcpy(text, bytes, *decoded); /* it is shorter */
    tern__free(bytes);
    return good ? 0 : bad(r, "payload", "is no base64");
}

/* The payload in the item's own memory. */
static int read_payload(reader *r, const cJSON *item, char **payload, size_t *len)
{
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(item, "payload");
    const cJSON *encoding = cJSON_GetObjectItemCaseSensitive(item, "encoding");
    if (text == NULL) return bad(r, "payload", "is missing");
    if (!cJSON_IsString(text)) return bad(r, "payload", "is no string");
    if (encoding != NULL && !cJSON_IsString(encoding)) return bad(r, "encoding", "is no string");
    *payload = text->valuestring;
    *len = r->has_nul ? restore_nuls(text->valuestring) : strlen(text->valuestring);
    if (encoding == NULL) return 0;
    if (strcmp(encoding->valuestring, "base64") != 0) return bad(r, "encoding", "is none that is known");
    return decode_base64(r, *payload, *len, len);
}

static int read_number(reader *r, const cJSON *item, const char *member, double *value)
{
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(item, member);
    *value = 0;
    if (number == NULL) return 0;
    if (!cJSON_IsNumber(number)) return bad(r, member, "is no number");
    *value = number->valuedouble;
    return 0;
}

/* The item as a message; *message stays NULL where it is none. */
static int read_item(reader *r, const cJSON *item, tern_message **message, double *timestamp)
{
    char *payload = NULL;
    size_t len = 0;
    double qos = 0;
    *message = NULL;
    if (!cJSON_IsObject(item)) return bad(r, NULL, "is no object");
    const cJSON *topic = cJSON_GetObjectItemCaseSensitive(item, "topic");
    if (topic == NULL) return bad(r, "topic", "is missing");
    if (!cJSON_IsString(topic)) return bad(r, "topic", "is no string");
    if (r->has_nul && strstr(topic->valuestring, stand_in) != NULL) return bad(r, "topic", "has a NUL character");
    int rc = read_payload(r, item, &payload, &len);
    if (rc == 0) rc = read_number(r, item, "qos", &qos);
    if (rc == 0) rc = read_number(r, item, "timestamp", timestamp);
    if (rc != 0) return rc;
    if (qos != 0 && qos != 1 && qos != 2) return bad(r, "qos", "is not 0, 1 or 2");
    rc = tern_message_new(message, topic->valuestring, payload, len, (uint32_t)qos);
    if (rc == TERN_E_TOPIC || rc == TERN_E_UTF8) return bad(r, "topic", "is no topic name");
    if (rc == TERN_E_TOO_LARGE) return bad(r, "topic", "is too long");
    return rc;
}

typedef struct receiver {
    tern_batch_item_callback callback; /* NULL: only a look */
    void *user_data;
} receiver;

/* All items in turn. The first that is bad ends it, unless bad ones are to be skipped. */
static int read_items(reader *first_bad, const cJSON *array, bool skip, const receiver *to)
{
    int result = 0;
    size_t index = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, array) {
        reader r = {.index = index++, .has_nul = first_bad->has_nul};
        tern_message *message;
        double timestamp;
        int rc = read_item(&r, item, &message, &timestamp);
        if (rc == 0 && to->callback != NULL) to->callback(message, timestamp, to->user_data);
        tern_message_unref(message);
        if (rc == 0) continue;
        if (result == 0) *first_bad = r;
        result = rc;
        if (!skip || rc == TERN_E_NOMEM) return rc;
    }
    return result;
}

static void describe(const reader *r, char *text, size_t size)
{
    if (text == NULL || size == 0) return;
    if (r->member != NULL)
        snprintf(text, size, "item %zu: \"%s\" %s", r->index, r->member, r->trouble);
    else
        snprintf(text, size, "item %zu %s", r->index, r->trouble);
}

static int fail_whole(char *text, size_t size, const char *trouble, size_t at)
{
    if (text != NULL && size != 0) snprintf(text, size, "%s at byte %zu", trouble, at);
    return TERN_E_MALFORMED;
}

static int unpack(const char *json, size_t len, bool has_nul, uint32_t flags, const receiver *to, char *text, size_t size)
{
    const char *end = memchr(json, '\0', len);
    if (end != NULL) return fail_whole(text, size, "a NUL byte, which no JSON has,", (size_t)(end - json));
    end = json;
    cJSON *array = cJSON_ParseWithLengthOpts(json, len, &end, false);
    if (array == NULL) return fail_whole(text, size, "no JSON", (size_t)(end - json));
    reader r = {.has_nul = has_nul};
    bool skip = (flags & TERN_BATCH_SKIP_BAD) != 0;
    int rc = 0;
    for (const char *rest = end; rest < json + len && rc == 0; rest++)
        if (memchr(" \t\r\n", *rest, 4) == NULL) rc = fail_whole(text, size, "something follows the array", (size_t)(rest - json));
    if (rc == 0 && !cJSON_IsArray(array)) rc = fail_whole(text, size, "no JSON array", 0);
    if (rc == 0) {
        const receiver nobody = {NULL, NULL};
        /* Reading undoes escapes where they are, so it is done once: a look first, or the whole at once. */
        rc = read_items(&r, array, skip, skip ? to : &nobody);
        if (rc == TERN_E_MALFORMED) describe(&r, text, size);
    }
    cJSON_Delete(array);
    return rc;
}

int tern_batch_unpack(const tern_message *message, uint32_t flags, tern_batch_item_callback callback, void *user_data, char *text,
                      size_t size)
{
    if (text != NULL && size != 0) text[0] = '\0';
    if (message == NULL || callback == NULL || (flags & ~(uint32_t)TERN_BATCH_SKIP_BAD) != 0) return TERN_E_INVALID;
    const char *json = tern_message_payload(message);
    size_t len = tern_message_payload_length(message);
    const receiver to = {callback, user_data};
    char *copy = NULL;
    if (has_nul_escape(json, len)) {
        copy = replace_nuls(json, len);
        if (copy == NULL) return TERN_E_NOMEM;
    }
    const char *source = copy != NULL ? copy : json;
    int rc = unpack(source, len, copy != NULL, flags, &to, text, size);
    /* Where bad ones are not to be skipped, the look found all good: now they are given. */
    if (rc == 0 && (flags & TERN_BATCH_SKIP_BAD) == 0) rc = unpack(source, len, copy != NULL, TERN_BATCH_SKIP_BAD, &to, text, size);
    tern__free(copy);
    return rc;
}

#else

int tern_batch_unpack(const tern_message *message, uint32_t flags, tern_batch_item_callback callback, void *user_data, char *text,
                      size_t size)
{
    (void)message, (void)flags, (void)callback, (void)user_data;
    if (text != NULL && size != 0) text[0] = '\0';
    return TERN_E_UNSUPPORTED;
}

#endif
