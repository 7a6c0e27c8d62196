/* Signature Version 4 of AWS.
 * SPDX-License-Identifier: Apache-2.0 */
#include "cloud/sigv4.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <tern/error.h>

#include "base/alloc.h"
#include "cloud/percent.h"

#ifdef TERN_WITH_TLS

#include <openssl/evp.h>
#include <openssl/hmac.h>

enum { DIGEST = 32, HEX = 2 * DIGEST + 1, STAMP = 17 /* "20130524T000000Z" */ };
static const char service[] = "iotdevicegateway";

/* ---- the calendar ---- */

/* "YYYYMMDDThhmmssZ" (days to a date: Gregorian, from March so that leap days come last). */
static int write_stamp(uint64_t time, char stamp[STAMP])
{
    enum { DAYS_OF_ERA = 146097, TO_MARCH_0000 = 719468 };
    uint64_t days = time / 86400 + TO_MARCH_0000;
    uint64_t second = time % 86400;
    uint64_t era = days / DAYS_OF_ERA;
    uint64_t day = days % DAYS_OF_ERA;
    uint64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= 365 * year + year / 4 - year / 100;
    uint64_t month = (5 * day + 2) / 153;
    day = day - (153 * month + 2) / 5 + 1;
    month = month < 10 ? month + 3 : month - 9;
    year += era * 400 + (month <= 2);
    if (year > 9999) return TERN_E_INVALID;
    snprintf(stamp, STAMP, "%04u%02u%02uT%02u%02u%02uZ", (unsigned)(year % 10000), (unsigned)(month % 100), (unsigned)(day % 100),
             (unsigned)(second / 3600 % 100), (unsigned)(second / 60 % 60), (unsigned)(second % 60));
    return 0;
}

/* ---- hashes ---- */

static void write_hex(const uint8_t digest[DIGEST], char text[HEX])
{
    for (int i = 0; i < DIGEST; i++) snprintf(text + 2 * i, 3, "%02x", digest[i]);
}

static int hash(const void *data, size_t len, char text[HEX])
{
    uint8_t digest[DIGEST];
    unsigned size = DIGEST;
    if (EVP_Digest(data, len, digest, &size, EVP_sha256(), NULL) != 1) return TERN_E_NOMEM;
    write_hex(digest, text);
    return 0;
}

/* key = HMAC(key, text), in place. */
static int chain(uint8_t key[DIGEST], const char *text, size_t len)
{
    uint8_t next[DIGEST];
    unsigned size = DIGEST;
    if (HMAC(EVP_sha256(), key, DIGEST, (const uint8_t *)text, len, next, &size) == NULL) return TERN_E_NOMEM;
    memcpy(key, next, DIGEST);
    tern__cleanse(next, sizeof next);
    return 0;
}

/* HMAC("AWS4" and the secret key, date), then region, service and the end. */
static int derive_key(const tern__sigv4 *request, const char *date, uint8_t key[DIGEST])
{
    tern__buf secret = {0};
    unsigned size = DIGEST;
    int rc = tern__buf_reserve(&secret, strlen(request->secret_key) + 4);
    if (rc != 0) return rc;
    (void)tern__buf_append(&secret, "AWS4", 4);
    (void)tern__buf_append(&secret, request->secret_key, strlen(request->secret_key));
    if (HMAC(EVP_sha256(), secret.data, (int)secret.len, (const uint8_t *)date, 8, key, &size) == NULL) rc = TERN_E_NOMEM;
    tern__cleanse(secret.data, secret.len);
    tern__buf_deinit(&secret);
    if (rc == 0) rc = chain(key, request->region, strlen(request->region));
    if (rc == 0) rc = chain(key, service, sizeof service - 1);
    return rc == 0 ? chain(key, "aws4_request", 12) : rc;
}

/* ---- the request ---- */

static int append_text(tern__buf *out, const char *text)
{
    return tern__buf_append(out, text, strlen(text));
}

/* The query that is signed, its parts in order. */
static int append_query(tern__buf *out, const tern__sigv4 *request, const char *stamp)
{
    char tail[80];
    int rc = append_text(out, "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=");
    if (rc == 0) rc = tern__percent_encode(out, request->access_key, strlen(request->access_key), "");
    if (rc == 0) rc = append_text(out, "%2F");
    if (rc == 0) rc = tern__buf_append(out, stamp, 8);
    if (rc == 0) rc = append_text(out, "%2F");
    if (rc == 0) rc = tern__percent_encode(out, request->region, strlen(request->region), "");
    if (rc == 0) rc = append_text(out, "%2Fiotdevicegateway%2Faws4_request");
    snprintf(tail, sizeof tail, "&X-Amz-Date=%s&X-Amz-Expires=%" PRIu32 "&X-Amz-SignedHeaders=host", stamp, request->expires);
    return rc == 0 ? append_text(out, tail) : rc;
}

/* The hash of the canonical request. */
static int hash_request(const tern__buf *query, const char *host, char text[HEX])
{
    tern__buf canonical = {0};
    char empty[HEX];
    int rc = hash("", 0, empty);
    if (rc == 0) rc = append_text(&canonical, "GET\n/mqtt\n");
    if (rc == 0) rc = tern__buf_append(&canonical, query->data, query->len);
    if (rc == 0) rc = append_text(&canonical, "\nhost:");
    if (rc == 0) rc = append_text(&canonical, host);
    if (rc == 0) rc = append_text(&canonical, "\n\nhost\n");
    if (rc == 0) rc = append_text(&canonical, empty);
    if (rc == 0) rc = hash(canonical.data, canonical.len, text);
    tern__buf_deinit(&canonical);
    return rc;
}

static int sign(const tern__sigv4 *request, const tern__buf *query, const char *stamp, char signature[HEX])
{
    char hashed[HEX];
    uint8_t key[DIGEST] = {0};
    tern__buf text = {0};
    int rc = hash_request(query, request->host, hashed);
    if (rc == 0) rc = append_text(&text, "AWS4-HMAC-SHA256\n");
    if (rc == 0) rc = append_text(&text, stamp);
    if (rc == 0) rc = append_text(&text, "\n");
    if (rc == 0) rc = tern__buf_append(&text, stamp, 8);
    if (rc == 0) rc = append_text(&text, "/");
    if (rc == 0) rc = append_text(&text, request->region);
    if (rc == 0) rc = append_text(&text, "/iotdevicegateway/aws4_request\n");
    if (rc == 0) rc = append_text(&text, hashed);
    if (rc == 0) rc = derive_key(request, stamp, key);
    if (rc == 0) rc = chain(key, (const char *)text.data, text.len);
    if (rc == 0) write_hex(key, signature);
    tern__cleanse(key, sizeof key);
    tern__buf_deinit(&text);
    return rc;
}

int tern__sigv4_sign(tern__buf *out, const tern__sigv4 *request)
{
    enum { REST = 400 };
    char stamp[STAMP];
    char signature[HEX];
    tern__buf query = {0};
    const char *token = request->session_token;
    size_t room = 3 * (strlen(request->access_key) + strlen(request->region) + (token != NULL ? strlen(token) : 0)) + REST;
    int rc = write_stamp(request->time, stamp);
    if (rc == 0) rc = tern__buf_reserve(out, room);
    if (rc == 0) rc = append_query(&query, request, stamp);
    if (rc == 0) rc = sign(request, &query, stamp, signature);
    if (rc == 0) rc = append_text(out, "/mqtt?");
    if (rc == 0) rc = tern__buf_append(out, query.data, query.len);
    if (rc == 0) rc = append_text(out, "&X-Amz-Signature=");
    if (rc == 0) rc = append_text(out, signature);
    if (rc == 0 && token != NULL) rc = append_text(out, "&X-Amz-Security-Token="); /* last, and not signed */
    if (rc == 0 && token != NULL) rc = tern__percent_encode(out, token, strlen(token), "");
    tern__cleanse(signature, sizeof signature);
    tern__buf_deinit(&query);
    return rc;
}

#else

int tern__sigv4_sign(tern__buf *out, const tern__sigv4 *request)
{
    (void)out, (void)request;
    return TERN_E_UNSUPPORTED;
}

#endif
