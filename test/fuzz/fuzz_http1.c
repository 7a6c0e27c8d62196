/* Fuzz target: any bytes as the head of an HTTP answer. However it is cut, it is understood the
 * same, and what is accepted keeps the rules. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <tern/error.h>

#include "transport/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds) abort();
}

static void check_text(const uint8_t *at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        require(at[i] == '\t' || (at[i] >= 0x20 && at[i] != 0x7F));
}

static void check_accepted(const tern__http1_head *head)
{
    tern__view value;
    require(head->why == NULL && head->status >= 100 && head->status <= 599);
    require(head->minor == 0 || head->minor == 1);
    require(head->count <= TERN__HTTP1_HEADERS_MAX && head->len <= TERN__HTTP1_HEAD_MAX);
    require(memcmp(head->bytes + head->len - 4, "\r\n\r\n", 4) == 0);
    check_text(head->reason.data, head->reason.len);
    for (size_t i = 0; i < head->count; i++) {
        const tern__http1_header *header = &head->headers[i];
        require(header->name_len != 0);
        require((size_t)header->name + header->name_len < header->value + (size_t)1);
        require((size_t)header->value + header->value_len < head->len);
        check_text(head->bytes + header->value, header->value_len);
        require(tern__http1_header_wrong(
                    (tern__view){head->bytes + header->name, header->name_len},
                    (tern__view){head->bytes + header->value, header->value_len}) == NULL);
    }
    (void)tern__http1_get(head, "Upgrade", &value);
    (void)tern__http1_lists(head, "Connection", "Upgrade");
    (void)tern__http1_offers(head, "Proxy-Authenticate", "Basic");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static tern__http1_head whole;
    static tern__http1_head cut;
    size_t used = 0;
    size_t cut_used = 0;
    int cut_rc = TERN_E_AGAIN;
    tern__http1_head_init(&whole);
    tern__http1_head_init(&cut);
    int rc = tern__http1_feed(&whole, data, size, &used);
    require(rc == 0 || rc == TERN_E_AGAIN || rc == TERN_E_MALFORMED);
    require(used <= size && (rc != TERN_E_AGAIN || used == size));
    while (cut_used < size && cut_rc == TERN_E_AGAIN) {
        size_t n;
        cut_rc = tern__http1_feed(&cut, data + cut_used, 1, &n);
        cut_used += n;
    }
    require(cut_rc == rc && cut_used == used && cut.why == whole.why);
    require(cut.count == whole.count && cut.status == whole.status);
    if (rc == 0) check_accepted(&whole);
    if (rc == TERN_E_MALFORMED) require(whole.why != NULL);
    return 0;
}
