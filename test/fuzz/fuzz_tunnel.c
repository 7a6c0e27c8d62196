/* Fuzz target: any bytes as what a proxy answers, to CONNECT or in SOCKS5. However they are cut,
 * the verdict is the same, and behind an open tunnel no byte is lost. SPDX-License-Identifier:
 * Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <tern/error.h>

#include "support/memory_stream.h"
#include "transport/http_proxy.h"
#include "transport/socks5.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What one way of reading came to. */
typedef struct result {
    int rc;
    int http_status;
    char hint[200];
    size_t rest; /* bytes behind the tunnel */
} result;

static void require(int holds)
{
    if (!holds) abort();
}

static void check_text(const char *text)
{
    require(strstr(text, "hunter2") == NULL);
    for (; *text != '\0'; text++)
        require((unsigned char)*text >= 0x20 && *text != 0x7F);
}

/* The last bytes of the answer are those behind the tunnel. */
static void read_rest(tern__stream *filter, const uint8_t *end, result *found)
{
    uint8_t rest[64];
    uint8_t *all = NULL;
    int rc = 0;
    while (rc == 0) {
        size_t n = 0;
        rc = tern__stream_read(filter, rest, sizeof rest, &n);
        all = realloc(all, found->rest + n + 1);
        require(all != NULL);
        memcpy(all + found->rest, rest, n);
        found->rest += n;
    }
    require(rc == TERN_E_CONNECTION_LOST && !tern__stream_pending(filter));
    require(found->rest == 0 || memcmp(end - found->rest, all, found->rest) == 0);
    free(all);
}

static void run(const uint8_t *data, size_t size, unsigned kind, size_t step, result *found)
{
    static char host[] = "proxy";
    static char user[] = "user";
    static char password[] = "hunter2";
    const tern__proxy proxy = {.kind = TERN__PROXY_HTTP,
                               .host = host,
                               .port = 1,
                               .user = (kind & 2) != 0 ? user : NULL,
                               .password = (kind & 2) != 0 ? password : NULL};
    memory_stream below;
    tern__stream *filter;
    tern__stream_failure failure;
    memory_stream_init(&below, step);
    require(((kind & 1) != 0
                 ? tern__socks5_new(&filter, &below.base, &proxy, "broker", 1883)
                 : tern__http_proxy_new(&filter, &below.base, &proxy, "broker", 1883)) == 0);
    memory_stream_put(&below, data, size, TERN_E_CONNECTION_LOST);
    memset(found, 0, sizeof *found);
    memset(&failure, 0, sizeof failure);
    found->rc = tern__stream_open(filter, &failure);
    if (found->rc == 0) {
        read_rest(filter, data + size, found);
    } else {
        require(found->rc == TERN_E_PROXY && failure.error == TERN_E_PROXY);
        require(failure.step == TERN_STEP_PROXY && failure.text[0] != '\0');
        check_text(failure.text);
        check_text(failure.hint);
        found->http_status = failure.http_status;
        memcpy(found->hint, failure.hint, sizeof found->hint);
    }
    tern__stream_close(filter);
    memory_stream_deinit(&below);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    result whole;
    result cut;
    if (size == 0) return 0;
    run(data + 1, size - 1, data[0], SIZE_MAX, &whole);
    run(data + 1, size - 1, data[0], 1 + (data[0] >> 2 & 7u), &cut);
    require(whole.rc == cut.rc && whole.http_status == cut.http_status);
    require(whole.rest == cut.rest && strcmp(whole.hint, cut.hint) == 0);
    return 0;
}
