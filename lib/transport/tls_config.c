/* TLS configurations: texts and bytes that are copied, wiped and replaced all alike.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <tern/error.h>

#include "base/alloc.h"
#include "transport/tls.h"

void tern__tls_config_init(tern__tls_config *config)
{
    memset(config, 0, sizeof *config);
    config->minimum_version = TERN_TLS_1_2;
}

static void wipe(tern__buf *buf)
{
    tern__cleanse(buf->data, buf->len);
    tern__buf_deinit(buf);
}

static void free_text(char *text)
{
    if (text != NULL) tern__cleanse(text, strlen(text));
    tern__free(text);
}

void tern__tls_config_deinit(tern__tls_config *config)
{
    for (int i = 0; i < TERN__TLS_TEXTS; i++) free_text(config->texts[i]);
    for (int i = 0; i < TERN__TLS_BYTES; i++) wipe(&config->bytes[i]);
    memset(config, 0, sizeof *config);
}

int tern__tls_config_set_text(tern__tls_config *config, int which, const char *text)
{
    char *copy = NULL;
    if (text != NULL) {
        copy = tern__strdup(text);
        if (copy == NULL) return TERN_E_NOMEM;
    }
    free_text(config->texts[which]);
    config->texts[which] = copy;
    return 0;
}

int tern__tls_config_set_bytes(tern__tls_config *config, int which, const void *data, size_t len)
{
    tern__buf fresh = {0};
    if (len != 0 && tern__buf_append(&fresh, data, len) != 0) return TERN_E_NOMEM;
    wipe(&config->bytes[which]);
    config->bytes[which] = fresh;
    return 0;
}

int tern__tls_config_add_path(tern__tls_config *config, int which, const char *path)
{
    return tern__buf_append(&config->bytes[which], path, strlen(path) + 1);
}

int tern__tls_config_copy(tern__tls_config *to, const tern__tls_config *from)
{
    int rc = 0;
    memset(to, 0, sizeof *to);
    to->verification = from->verification;
    to->minimum_version = from->minimum_version;
    to->ocsp = from->ocsp;
    to->no_resumption = from->no_resumption;
    for (int i = 0; i < TERN__TLS_TEXTS && rc == 0; i++) rc = tern__tls_config_set_text(to, i, from->texts[i]);
    for (int i = 0; i < TERN__TLS_BYTES && rc == 0; i++)
        rc = tern__tls_config_set_bytes(to, i, from->bytes[i].data, from->bytes[i].len);
    if (rc != 0) tern__tls_config_deinit(to);
    return rc;
}
