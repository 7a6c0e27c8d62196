/* Fuzz target: any text as a proxy's URL, and as NO_PROXY. What is accepted holds its invariants,
 * what is refused says why. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <tern/error.h>

#include "transport/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds) abort();
}

static void check_accepted(const tern__proxy *proxy)
{
    tern__proxy again;
    char why[200];
    require(proxy->kind == TERN__PROXY_HTTP || proxy->kind == TERN__PROXY_SOCKS5);
    require(proxy->host[0] != '\0' && proxy->port != 0);
    for (const char *at = proxy->user; at != NULL && *at != '\0'; at++)
        require((unsigned char)*at >= 0x20 && (*at != ':' || proxy->kind != TERN__PROXY_HTTP));
    /* The display is a URL of the same proxy, without credentials. */
    require(tern__proxy_parse(proxy->display, &again, why, sizeof why) == 0);
    require(again.kind == proxy->kind && again.port == proxy->port);
    require(strcmp(again.host, proxy->host) == 0 && again.user == NULL && again.password == NULL);
    tern__proxy_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    char why[200];
    tern__proxy proxy;
    if (text == NULL) return 0;
    if (size != 0) memcpy(text, data, size);
    text[size] = '\0';
    int rc = tern__proxy_parse(text, &proxy, why, sizeof why);
    if (rc == 0) {
        check_accepted(&proxy);
    } else {
        require(rc == TERN_E_NOMEM || strncmp(why, "position ", 9) == 0);
        require(proxy.memory == NULL);
    }
    tern__proxy_deinit(&proxy);
    /* The text's own host is exempt from what it names alone, whatever stands around it. */
    (void)tern__proxy_exempts(text, "broker.example", 1883);
    (void)tern__proxy_exempts(text, "2001:db8::1", 1883);
    (void)tern__proxy_exempts("example, 10.0.0.0/8 [::1]:1883", text, 1883);
    require(tern__proxy_exempts("*", text, 1883));
    require(!tern__proxy_exempts("", text, 1883));
    free(text);
    return 0;
}
