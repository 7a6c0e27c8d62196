/* Fuzzing batch arrays: a bad one tells where and gives nothing, or with TERN_BATCH_SKIP_BAD the good messages of it; what was given,
 * written again, is given again as the same.
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <tern/tern.h>

#include "payload/batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a batch gave; and the same as a batch that is written anew, while `writes`. */
typedef struct given {
    size_t count;
    bool writes;
    tern__buf array;
    tern__buf items; /* topics, payloads and QoS one behind another, with their lengths */
} given;

static void keep(tern__buf *buf, const void *data, size_t len)
{
    int rc = tern__buf_append(buf, &len, sizeof len);
    if (rc == 0 && len != 0) rc = tern__buf_append(buf, data, len);
    assert(rc == 0);
}

static void take(const tern_message *item, double timestamp, void *user_data)
{
    given *g = user_data;
    const char *topic = tern_message_topic(item);
    const void *payload = tern_message_payload(item);
    size_t len = tern_message_payload_length(item);
    unsigned qos = (unsigned)tern_message_qos(item);
    (void)timestamp;
    assert(qos <= 2 && strlen(topic) > 0 && strpbrk(topic, "+#") == NULL);
    keep(&g->items, topic, strlen(topic));
    keep(&g->items, payload, len);
    keep(&g->items, &qos, sizeof qos);
    g->count++;
    if (!g->writes) return;
    int rc = tern__buf_append(&g->array, g->count == 1 ? "[" : ",", 1);
    if (rc == 0) rc = tern__batch_write(&g->array, topic, payload, len, qos, 1700000000000000u);
    assert(rc == 0);
}

static int unpack(const void *data, size_t size, uint32_t flags, given *g, char *text, size_t text_size)
{
    tern_message *message = NULL;
    int rc = tern_message_new(&message, "batch/messages", data, size, TERN_QOS_1);
    assert(rc == 0);
    text[0] = '\0';
    rc = tern_batch_unpack(message, flags, take, g, text, text_size);
    tern_message_unref(message);
    assert(rc == 0 || (rc == TERN_E_MALFORMED && text[0] != '\0') || rc == TERN_E_UNSUPPORTED);
    return rc;
}

/* An item of which all before it are good, or a byte of the payload. */
static void check_place(const char *text, size_t size, size_t good)
{
    size_t place = 0;
    const char *at = strstr(text, " at byte ");
    bool named = at != NULL ? sscanf(at, " at byte %zu", &place) == 1 : sscanf(text, "item %zu", &place) == 1;
    assert(named && place <= (at != NULL ? size : good));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[200];
    char text_of_strict[200];
    given strict = {0};
    given lenient = {.writes = true};
    given again = {0};
    int rc = unpack(data, size, 0, &strict, text_of_strict, sizeof text_of_strict);
    int second = unpack(data, size, TERN_BATCH_SKIP_BAD, &lenient, text, sizeof text);
    assert(rc == second && strcmp(text, text_of_strict) == 0);
    if (rc == TERN_E_MALFORMED) check_place(text, size, lenient.count);
    assert(rc == 0 ? strict.count == lenient.count : strict.count == 0);
    if (lenient.count != 0) {
        rc = tern__buf_append(&lenient.array, "]", 1);
        assert(rc == 0);
        rc = unpack(lenient.array.data, lenient.array.len, 0, &again, text, sizeof text);
        assert(rc == 0 && again.count == lenient.count && again.items.len == lenient.items.len);
        assert(memcmp(again.items.data, lenient.items.data, again.items.len) == 0);
    }
    tern__buf_deinit(&strict.items);
    tern__buf_deinit(&lenient.items);
    tern__buf_deinit(&lenient.array);
    tern__buf_deinit(&again.items);
    return 0;
}
