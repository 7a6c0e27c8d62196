/* Fuzz target: any text as a connection string, as a property bag and as a topic of the service. What is refused says where, and
 * what was read and written again is the same.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <tern/error.h>

#include "base/utf8.h"
#include "cloud/azure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds) abort();
}

static void try_connection_string(const char *text)
{
    tern__connection_string parsed;
    char why[200];
    int rc = tern__connection_string_parse(text, &parsed, why, sizeof why);
    if (rc == 0) {
        require(parsed.host != NULL && parsed.device != NULL);
        require((parsed.key != NULL) + (parsed.signature != NULL) + parsed.x509 == 1);
    } else {
        require(rc == TERN_E_NOMEM || strncmp(why, "position ", 9) == 0);
        require(parsed.host == NULL && parsed.key == NULL && parsed.signature == NULL);
    }
    tern__connection_string_deinit(&parsed);
}

static void require_same(const char *a, const char *b)
{
    require((a == NULL) == (b == NULL));
    require(a == NULL || strcmp(a, b) == 0);
}

static void try_properties(const char *text, size_t size)
{
    tern_azure_properties first = {0};
    tern_azure_properties second = {0};
    tern__buf written = {0};
    if (!tern__utf8_valid(text, size)) return; /* no topic is like that */
    require(tern__azure_properties_read(text, size, &first) == 0);
    require(tern__azure_properties_write(&first, &written) == 0);
    require(tern__azure_properties_read((const char *)written.data, written.len, &second) == 0);
    size_t count = tern_azure_properties_count(&first);
    size_t again = 0;
    for (size_t i = 0; i < count; i++) {
        const char *name = tern_azure_properties_name(&first, i);
        const char *value = tern_azure_properties_value(&first, i);
        if (name[0] == '\0' && value == NULL) continue; /* nothing at all is written of it */
        require_same(name, tern_azure_properties_name(&second, again));
        require_same(value, tern_azure_properties_value(&second, again));
        again++;
    }
    require(tern_azure_properties_count(&second) == again);
    tern__azure_properties_deinit(&first);
    tern__azure_properties_deinit(&second);
    tern__buf_deinit(&written);
}

static void try_topic(const char *text)
{
    size_t len;
    uint64_t number;
    const char *value = tern__azure_query(text, "$rid", &len);
    require(value == NULL || (value > text && len <= strlen(value)));
    if (tern__azure_query_number(text, "$rid", &number)) require(value != NULL && len != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (text == NULL) return 0;
    if (size != 0) memcpy(text, data, size);
    text[size] = '\0';
    try_connection_string(text);
    try_properties(text, strlen(text));
    try_topic(text);
    free(text);
    return 0;
}
