/* Properties of messages, as Azure IoT Hub has them in topics: names and values, URL-encoded.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "cloud/azure.h"
#include "cloud/percent.h"

enum { LONGEST = 65535 };

/* Offsets into the text. */
typedef struct spot {
    size_t name;
    size_t value;
    bool has_value;
} spot;

void tern__azure_properties_deinit(tern_azure_properties *properties)
{
    tern__buf_deinit(&properties->text);
    tern__buf_deinit(&properties->spots);
}

int tern_azure_properties_new(tern_azure_properties **properties)
{
    if (properties == NULL) return TERN_E_INVALID;
    *properties = tern__calloc(1, sizeof **properties);
    return *properties != NULL ? 0 : TERN_E_NOMEM;
}

void tern_azure_properties_free(tern_azure_properties *properties)
{
    if (properties == NULL) return;
    tern__azure_properties_deinit(properties);
    tern__free(properties);
}

int tern_azure_properties_add(tern_azure_properties *properties, const char *name, const char *value)
{
    if (properties == NULL || name == NULL || name[0] == '\0') return TERN_E_INVALID;
    size_t name_len = strlen(name);
    size_t value_len = value != NULL ? strlen(value) : 0;
    if (name_len > LONGEST || value_len > LONGEST) return TERN_E_TOO_LARGE;
    if (!tern__utf8_valid(name, name_len) || (value != NULL && !tern__utf8_valid(value, value_len))) return TERN_E_UTF8;
    size_t before = properties->text.len;
    const spot made = {before, before + name_len + 1, value != NULL};
    int rc = tern__buf_append(&properties->text, name, name_len + 1);
    if (rc == 0) rc = tern__buf_append(&properties->text, value != NULL ? value : "", value_len + 1);
    if (rc == 0) rc = tern__buf_append(&properties->spots, &made, sizeof made);
    if (rc != 0) properties->text.len = before;
    return rc;
}

int tern_azure_properties_add_content_type(tern_azure_properties *properties, const char *content_type)
{
    return content_type != NULL ? tern_azure_properties_add(properties, "$.ct", content_type) : TERN_E_INVALID;
}

int tern_azure_properties_add_content_encoding(tern_azure_properties *properties, const char *encoding)
{
    return encoding != NULL ? tern_azure_properties_add(properties, "$.ce", encoding) : TERN_E_INVALID;
}

int tern_azure_properties_add_message_id(tern_azure_properties *properties, const char *id)
{
    return id != NULL ? tern_azure_properties_add(properties, "$.mid", id) : TERN_E_INVALID;
}

int tern_azure_properties_add_correlation_id(tern_azure_properties *properties, const char *id)
{
    return id != NULL ? tern_azure_properties_add(properties, "$.cid", id) : TERN_E_INVALID;
}

size_t tern_azure_properties_count(const tern_azure_properties *properties)
{
    return properties != NULL ? properties->spots.len / sizeof(spot) : 0;
}

static bool find_spot(const tern_azure_properties *properties, size_t index, spot *found)
{
    if (index >= tern_azure_properties_count(properties)) return false;
    memcpy(found, properties->spots.data + index * sizeof *found, sizeof *found);
    return true;
}

const char *tern_azure_properties_name(const tern_azure_properties *properties, size_t index)
{
    spot found;
    return find_spot(properties, index, &found) ? (const char *)properties->text.data + found.name : NULL;
}

const char *tern_azure_properties_value(const tern_azure_properties *properties, size_t index)
{
    spot found;
    if (!find_spot(properties, index, &found) || !found.has_value) return NULL;
    return (const char *)properties->text.data + found.value;
}

const char *tern_azure_properties_find(const tern_azure_properties *properties, const char *name)
{
    if (name == NULL) return NULL;
    for (size_t i = 0; i < tern_azure_properties_count(properties); i++)
        if (strcmp(tern_azure_properties_name(properties, i), name) == 0) return tern_azure_properties_value(properties, i);
    return NULL;
}

/* ---- in topics ---- */

int tern__azure_properties_write(const tern_azure_properties *properties, tern__buf *out)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < tern_azure_properties_count(properties); i++) {
        const char *name = tern_azure_properties_name(properties, i);
        const char *value = tern_azure_properties_value(properties, i);
        if (i != 0) rc = tern__buf_append(out, "&", 1);
        if (rc == 0) rc = tern__percent_encode(out, name, strlen(name), "$");
        if (rc == 0 && value != NULL) rc = tern__buf_append(out, "=", 1);
        if (rc == 0 && value != NULL) rc = tern__percent_encode(out, value, strlen(value), "");
    }
    return rc;
}

/* Reads one property; what it appended stays where the next step fails, without a spot. */
static int read_one(const char *text, size_t len, tern_azure_properties *properties)
{
    const char *equals = memchr(text, '=', len);
    size_t name_len = equals != NULL ? (size_t)(equals - text) : len;
    tern__buf *out = &properties->text;
    spot made = {.name = out->len, .has_value = equals != NULL};
    int rc = tern__percent_decode(out, text, name_len);
    if (rc == 0) rc = tern__buf_append(out, "", 1);
    made.value = out->len;
    if (rc == 0 && equals != NULL) rc = tern__percent_decode(out, equals + 1, len - name_len - 1);
    if (rc == 0) rc = tern__buf_append(out, "", 1);
    return rc != 0 ? rc : tern__buf_append(&properties->spots, &made, sizeof made);
}

int tern__azure_properties_read(const char *text, size_t len, tern_azure_properties *properties)
{
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < len;) {
        const char *end = memchr(text + at, '&', len - at);
        size_t part = end != NULL ? (size_t)(end - text) - at : len - at;
        if (part != 0) rc = read_one(text + at, part, properties);
        at += part + 1;
    }
    return rc;
}
