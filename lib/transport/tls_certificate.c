/* Certificates: what is in them, what verification found, and what OCSP says of them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifdef TERN_WITH_TLS
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "platform/ip.h"
#include "transport/tls_inside.h"

/* Copies what was printed to a memory BIO, control characters replaced. */
static void take_text(BIO *memory, char *text, size_t size)
{
    int n = memory != NULL ? BIO_read(memory, text, (int)size - 1) : 0;
    text[n > 0 ? n : 0] = '\0';
    tern__log_clean(text);
}

static void name_text(const X509_NAME *name, char *text, size_t size)
{
    BIO *memory = BIO_new(BIO_s_mem());
    if (memory != NULL) X509_NAME_print_ex(memory, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB);
    take_text(memory, text, size);
    BIO_free(memory);
}

static void time_text(const ASN1_TIME *time, char *text, size_t size)
{
    BIO *memory = BIO_new(BIO_s_mem());
    if (memory != NULL) ASN1_TIME_print(memory, time);
    take_text(memory, text, size);
    BIO_free(memory);
}

/* What cannot be shown is shown as '?': a NUL in a name would hide the rest of it. */
static void append(char *text, size_t size, const char *more, size_t len)
{
    size_t used = strlen(text);
    const char *between = used != 0 ? ", " : "";
    if (used + strlen(between) + len + 1 > size) return;
    used += (size_t)snprintf(text + used, size - used, "%s", between);
    for (size_t i = 0; i < len; i++) text[used + i] = more[i] > ' ' && more[i] < 0x7F ? more[i] : '?';
    text[used + len] = '\0';
}

static void append_address(char *text, size_t size, const ASN1_OCTET_STRING *bytes)
{
    char address[48];
    tern__ip_text(ASN1_STRING_get0_data(bytes), (size_t)ASN1_STRING_length(bytes), address, sizeof address);
    append(text, size, address, strlen(address));
}

static void names_text(X509 *certificate, char *text, size_t size)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    text[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        int type;
        const void *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
        if (type == GEN_DNS)
            append(text, size, (const char *)ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
        if (type == GEN_IPADD) append_address(text, size, value);
    }
    GENERAL_NAMES_free(names);
    tern__log_clean(text);
}

void tern__tls_certificate_read(X509 *certificate, tern__tls_certificate *out)
{
    name_text(X509_get_subject_name(certificate), out->subject, sizeof out->subject);
    name_text(X509_get_issuer_name(certificate), out->issuer, sizeof out->issuer);
    names_text(certificate, out->names, sizeof out->names);
    time_text(X509_get0_notBefore(certificate), out->not_before, sizeof out->not_before);
    time_text(X509_get0_notAfter(certificate), out->not_after, sizeof out->not_after);
}

/* Keeps the first thing that is wrong; the verdict stays OpenSSL's. */
int tern__tls_on_verify(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    tern__tls_stream *stream = ssl != NULL ? SSL_get_app_data(ssl) : NULL;
    if (ok == 1 || stream == NULL || stream->finding != NULL) return ok;
    stream->finding = tern__calloc(1, sizeof *stream->finding);
    if (stream->finding == NULL) return ok;
    stream->finding->error = X509_STORE_CTX_get_error(store);
    stream->finding->depth = X509_STORE_CTX_get_error_depth(store);
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    if (certificate == NULL) certificate = X509_STORE_CTX_get0_cert(store);
    if (certificate != NULL) tern__tls_certificate_read(certificate, &stream->finding->certificate);
    return ok;
}

/* ---- OCSP ---- */

static OCSP_BASICRESP *stapled(SSL *ssl)
{
    const unsigned char *data = NULL;
    long len = SSL_get_tlsext_status_ocsp_resp(ssl, &data);
    OCSP_RESPONSE *response = data != NULL && len > 0 ? d2i_OCSP_RESPONSE(NULL, &data, len) : NULL;
    OCSP_BASICRESP *basic = NULL;
    if (response != NULL && OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL)
        basic = OCSP_response_get1_basic(response);
    OCSP_RESPONSE_free(response);
    return basic;
}

/* What speaks against the answer, whose signature is in order; NULL where it says "good" of the server's certificate, and is of
 * today. */
static const char *objection(OCSP_BASICRESP *basic, STACK_OF(X509) *chain)
{
    enum { CLOCK_SKEW_S = 300 };
    if (sk_X509_num(chain) < 2) return "the stapled OCSP answer cannot be told to be about this certificate";
    OCSP_CERTID *id = OCSP_cert_to_id(NULL, sk_X509_value(chain, 0), sk_X509_value(chain, 1));
    int status = V_OCSP_CERTSTATUS_UNKNOWN;
    int reason;
    ASN1_GENERALIZEDTIME *revoked;
    ASN1_GENERALIZEDTIME *from;
    ASN1_GENERALIZEDTIME *to;
    bool found = id != NULL && OCSP_resp_find_status(basic, id, &status, &reason, &revoked, &from, &to) == 1;
    OCSP_CERTID_free(id);
    if (!found) return "the stapled OCSP answer is about another certificate";
    if (status == V_OCSP_CERTSTATUS_REVOKED) return "the stapled OCSP answer says that the certificate is revoked";
    if (status != V_OCSP_CERTSTATUS_GOOD) return "the stapled OCSP answer does not know the certificate";
    return OCSP_check_validity(from, to, CLOCK_SKEW_S, -1) == 1 ? NULL : "the stapled OCSP answer is out of date";
}

int tern__tls_on_ocsp(SSL *ssl, void *argument)
{
    (void)argument;
    tern__tls_stream *stream = SSL_get_app_data(ssl);
    if (SSL_session_reused(ssl)) return 1; /* the certificate was judged when the session began */
    OCSP_BASICRESP *basic = stapled(ssl);
    STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
    if (basic == NULL) {
        stream->ocsp = "the server staples no OCSP answer";
    } else if (chain == NULL || OCSP_basic_verify(basic, chain, SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl)), 0) != 1) {
        stream->ocsp = "the stapled OCSP answer is not signed by the certificate's authority";
    } else {
        stream->ocsp = objection(basic, chain);
    }
    OCSP_BASICRESP_free(basic);
    return stream->ocsp == NULL ? 1 : 0;
}
#endif
