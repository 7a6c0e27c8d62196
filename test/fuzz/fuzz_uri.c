/* Fuzz target: any text as a server URL. What is accepted holds its invariants, what is refused
 * says why. SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <tern/error.h>

#include "transport/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds) abort();
}

static void check_accepted(const tern__uri *uri)
{
    tern__uri again;
    char why[200];
    require(uri->host != NULL && uri->host[0] != '\0');
    require(uri->scheme == TERN__SCHEME_UNIX ? uri->host[0] == '/' : uri->port != 0);
    /* The display is a URL of the same place, without credentials. */
    require(tern__uri_parse(uri->display, &again, why, sizeof why) == 0);
    require(again.scheme == uri->scheme && again.port == uri->port);
    require(strcmp(again.host, uri->host) == 0 && again.user == NULL && again.password == NULL);
    tern__uri_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    char why[200];
    tern__uri uri;
    if (text == NULL) return 0;
    if (size != 0) memcpy(text, data, size);
    text[size] = '\0';
    int rc = tern__uri_parse(text, &uri, why, sizeof why);
    if (rc == 0) {
        check_accepted(&uri);
    } else {
        require(rc == TERN_E_NOMEM || strncmp(why, "position ", 9) == 0);
        require(uri.memory == NULL);
    }
    tern__uri_deinit(&uri);
    free(text);
    return 0;
}
