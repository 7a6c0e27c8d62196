/* Shared access signatures: the tokens that Azure takes in place of passwords.
 * SPDX-License-Identifier: Apache-2.0 */
#include "cloud/sas.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <tern/error.h>

#ifdef TERN_WITH_TLS
#include <openssl/evp.h>
#include <openssl/hmac.h>
#endif

#include "base/alloc.h"
#include "base/base64.h"
#include "cloud/percent.h"

enum { SIGNATURE = 32 };

uint32_t tern__sas_renewal_ms(uint32_t life_s)
{
    enum { AHEAD_S = 120 };
    uint64_t at = (uint64_t)life_s * 800;
    uint64_t ahead = life_s > 2 * AHEAD_S ? (uint64_t)(life_s - AHEAD_S) * 1000 : at;
    if (ahead < at) at = ahead;
    return at < UINT32_MAX ? (uint32_t)at : UINT32_MAX;
}

void tern__sas_forget(tern__buf *secret)
{
    if (secret->data != NULL) tern__cleanse(secret->data, secret->cap);
    tern__buf_deinit(secret);
}

static int append_text(tern__buf *out, const char *text)
{
    return tern__buf_append(out, text, strlen(text));
}

/* HMAC-SHA256 (RFC 2104). */
static int sign(const uint8_t *key, size_t key_length, const tern__buf *text, uint8_t signature[SIGNATURE])
{
#ifdef TERN_WITH_TLS
    unsigned length = SIGNATURE;
    if (key_length > INT32_MAX) return TERN_E_TOO_LARGE;
    if (HMAC(EVP_sha256(), key, (int)key_length, text->data, text->len, signature, &length) == NULL) return TERN_E_NOMEM;
    return 0;
#else
    (void)key;
    (void)key_length;
    (void)text;
    (void)signature;
    return TERN_E_UNSUPPORTED;
#endif
}

static int append_signature(tern__buf *token, const uint8_t *signature)
{
    char text[TERN__BASE64_SIZE(SIGNATURE)];
    tern__base64_encode(signature, SIGNATURE, text);
    int rc = tern__percent_encode(token, text, strlen(text), "");
    tern__cleanse(text, sizeof text);
    return rc;
}

/* The growing of a buffer leaves its old bytes behind: room for all of it comes first. */
static int reserve(tern__buf *token, size_t resource, const char *policy)
{
    enum { REST = 3 * TERN__BASE64_SIZE(SIGNATURE) + 100 };
    return tern__buf_reserve(token, resource + (policy != NULL ? 3 * strlen(policy) : 0) + REST);
}

static int compose(tern__buf *token, const tern__buf *resource, const uint8_t *signature, const char *policy, const char *expiry)
{
    int rc = reserve(token, resource->len, policy);
    if (rc == 0) rc = append_text(token, "SharedAccessSignature sr=");
    if (rc == 0) rc = tern__buf_append(token, resource->data, resource->len);
    if (rc == 0) rc = append_text(token, "&sig=");
    if (rc == 0) rc = append_signature(token, signature);
    if (rc == 0) rc = append_text(token, "&se=");
    if (rc == 0) rc = append_text(token, expiry);
    if (rc == 0 && policy != NULL) rc = append_text(token, "&skn=");
    if (rc == 0 && policy != NULL) rc = tern__percent_encode(token, policy, strlen(policy), "");
    return rc;
}

int tern__sas_make(tern__buf *token, const char *resource, const uint8_t *key, size_t key_length, const char *policy,
                   uint64_t expiry)
{
    char until[24];
    uint8_t signature[SIGNATURE] = {0};
    tern__buf encoded = {0};
    tern__buf text = {0}; /* what is signed */
    snprintf(until, sizeof until, "%" PRIu64, expiry);
    int rc = tern__percent_encode(&encoded, resource, strlen(resource), "");
    if (rc == 0) rc = tern__buf_append(&text, encoded.data, encoded.len);
    if (rc == 0) rc = append_text(&text, "\n");
    if (rc == 0) rc = append_text(&text, until);
    if (rc == 0) rc = sign(key, key_length, &text, signature);
    if (rc == 0) rc = compose(token, &encoded, signature, policy, until);
    tern__cleanse(signature, sizeof signature);
    tern__buf_deinit(&text);
    tern__buf_deinit(&encoded);
    return rc;
}
