/* Failures of TLS in words: the cause as OpenSSL and the peer tell it, and what to do about it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifdef TERN_WITH_TLS
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pemerr.h>
#include <openssl/sslerr.h>
#include <openssl/x509err.h>
#include <stdio.h>
#include <string.h>
#include <tern/error.h>

#include "platform/os_error.h"
#include "transport/tls_inside.h"

typedef struct hint_row {
    int code;
    const char *hint;
} hint_row;

static const char not_tls[] = "the server does not speak TLS on this port: check the port and the URL's scheme";
static const char not_accepted[] = "the server does not accept the client's certificate: check that it is valid, and known to the server";

/* By reason of the SSL library; those from 1000 are alerts that the peer sent. */
static const hint_row reasons[] = {
    {SSL_R_WRONG_VERSION_NUMBER, not_tls},
    {SSL_R_HTTP_REQUEST, not_tls},
    {SSL_R_PACKET_LENGTH_TOO_LONG, not_tls},
    {SSL_R_UNEXPECTED_MESSAGE, not_tls},
    {SSL_R_BAD_RECORD_TYPE, not_tls},
    {SSL_R_RECORD_LENGTH_MISMATCH, not_tls},
    {SSL_R_UNSUPPORTED_PROTOCOL, "the server offers no TLS version that is accepted here: it needs TLS 1.2 at least"},
    {SSL_R_NO_PROTOCOLS_AVAILABLE, "no TLS version is left: check the minimum version and OpenSSL's configuration"},
    {SSL_R_NO_CIPHERS_AVAILABLE, "no cipher is left: check the cipher lists"},
    {SSL_R_DH_KEY_TOO_SMALL, "the server's parameters are too weak: it must be set up anew"},
    {SSL_R_INVALID_STATUS_RESPONSE, "the server must staple an OCSP answer that says its certificate is good"},
    {SSL_R_UNEXPECTED_EOF_WHILE_READING,
     "the server hung up: it may want no TLS here, other versions or ciphers, another server name, or a client certificate"},
    {SSL_AD_REASON_OFFSET + SSL_AD_HANDSHAKE_FAILURE,
     "no common ground: check ciphers, versions and groups, and whether the server wants a client certificate or pre-shared key"},
    {SSL_AD_REASON_OFFSET + SSL_AD_BAD_CERTIFICATE, not_accepted},
    {SSL_AD_REASON_OFFSET + SSL_AD_UNSUPPORTED_CERTIFICATE, not_accepted},
    {SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_REVOKED, not_accepted},
    {SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_EXPIRED, not_accepted},
    {SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_UNKNOWN, not_accepted},
    {SSL_AD_REASON_OFFSET + SSL_AD_ACCESS_DENIED, not_accepted},
    {SSL_AD_REASON_OFFSET + SSL_AD_UNKNOWN_CA, "the server does not know the authority of the client's certificate"},
    {SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_REQUIRED, "the server wants a client certificate: set one, with its key"},
    {SSL_AD_REASON_OFFSET + SSL_AD_PROTOCOL_VERSION, "the server wants another TLS version"},
    {SSL_AD_REASON_OFFSET + SSL_AD_INSUFFICIENT_SECURITY, "the server wants stronger ciphers"},
    {SSL_AD_REASON_OFFSET + SSL_AD_UNRECOGNIZED_NAME, "the server has no certificate for this name: check host and server name"},
    {SSL_AD_REASON_OFFSET + SSL_AD_UNKNOWN_PSK_IDENTITY, "the server does not know this identity: check the pre-shared key's identity"},
    {SSL_AD_REASON_OFFSET + SSL_AD_NO_APPLICATION_PROTOCOL, "the server takes none of the application protocols (ALPN) offered"},
    {SSL_AD_REASON_OFFSET + SSL_AD_DECRYPT_ERROR, "a signature or key does not fit: with a pre-shared key, check the key"},
    {SSL_AD_REASON_OFFSET + SSL_AD_BAD_RECORD_MAC, "with a pre-shared key, check the key"},
};

static const char unknown_authority[] =
    "its authority is not trusted here, or the server leaves out a certificate in between: add the authority, or mend the server's chain";

static const hint_row verdicts[] = {
    {X509_V_ERR_CERT_HAS_EXPIRED, "the certificate must be renewed, unless this machine's clock is wrong"},
    {X509_V_ERR_CERT_NOT_YET_VALID, "check this machine's clock"},
    {X509_V_ERR_HOSTNAME_MISMATCH, "connect by a name that the certificate is for, or set the verified name"},
    {X509_V_ERR_IP_ADDRESS_MISMATCH, "connect by a name or address that the certificate is for, or set the verified name"},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "to trust this very certificate, add it as an authority"},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "to trust its authority, add that one's certificate"},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, unknown_authority},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, unknown_authority},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, unknown_authority},
    {X509_V_ERR_CERT_REVOKED, "its authority has revoked the certificate: the server needs a new one"},
    {X509_V_ERR_UNABLE_TO_GET_CRL, "no revocation list of its authority was given"},
    {X509_V_ERR_CRL_HAS_EXPIRED, "fetch a newer revocation list"},
    {X509_V_ERR_INVALID_PURPOSE, "the certificate is not one for servers"},
};

static const char *find_hint(const hint_row *rows, size_t count, int code)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].code == code) return rows[i].hint;
    return "";
}

/* The first error of the queue says most; those behind it say where it passed through. */
static unsigned long take_error(char *data, size_t size)
{
    const char *text = NULL;
    int flags = 0;
    unsigned long error = ERR_peek_error_all(NULL, NULL, NULL, &text, &flags);
    snprintf(data, size, "%s", text != NULL && (flags & ERR_TXT_STRING) != 0 ? text : "");
    return error;
}

/* Empties the queue; what it tells of a key's password, NULL where nothing. */
static const char *drain_for_password(void)
{
    unsigned long error;
    const char *found = NULL;
    while ((error = ERR_get_error()) != 0) {
        const char *reason = ERR_reason_error_string(error);
        if (ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_BAD_PASSWORD_READ)
            found = "the key is encrypted";
        if (found == NULL && reason != NULL &&
            (strstr(reason, "bad decrypt") != NULL || strstr(reason, "cipherfinal") != NULL))
            found = "the key's password is wrong";
    }
    return found;
}

/* ---- configuration ---- */

static const char *key_trouble(unsigned long error)
{
    if (ERR_GET_LIB(error) == ERR_LIB_X509 && ERR_GET_REASON(error) == X509_R_KEY_VALUES_MISMATCH)
        return "the private key does not belong to the certificate: give the key that it was made with";
    if (ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE)
        return "there is nothing of that kind in it: it must be PEM text";
    return "OpenSSL cannot read it: check that it is what it should be (openssl pkey or openssl x509, with -in FILE -noout)";
}

/* Decoders that find nothing of their own say no more than that they do not support it. */
static const char *cause_in_words(unsigned long error)
{
    const char *reason = ERR_reason_error_string(error);
    if (reason == NULL) return "OpenSSL refused it";
    return strcmp(reason, "unsupported") == 0 ? "there is no key in it that OpenSSL knows" : reason;
}

void tern__tls_report_config(const char *what, tern__stream_failure *failure)
{
    char data[96];
    char cause[128];
    unsigned long error = take_error(data, sizeof data);
    const char *hint = key_trouble(error);
    failure->error = TERN_E_TLS;
    failure->step = TERN_STEP_TLS;
    failure->fatal = true;
    if (ERR_GET_LIB(error) == ERR_LIB_SYS) {
        failure->os_error = ERR_GET_REASON(error);
        tern__os_error_text(failure->os_error, cause, sizeof cause);
        hint = failure->os_error == ENOENT ? "check the path" : "check the file's permissions";
    } else {
        snprintf(cause, sizeof cause, "%s", cause_in_words(error));
    }
    const char *password = drain_for_password(); /* the first error is not the one that tells */
    if (password != NULL) {
        snprintf(cause, sizeof cause, "%s", password);
        hint = "set the key's password, the right one";
    }
    snprintf(failure->text, sizeof failure->text, "%s: %s", what, cause);
    snprintf(failure->hint, sizeof failure->hint, "%s", hint != NULL ? hint : "");
}

void tern__tls_report_password(const char *what, tern__stream_failure *failure)
{
    snprintf(failure->text, sizeof failure->text, "%s: the key's password is wrong", what);
    snprintf(failure->hint, sizeof failure->hint, "set the key's password, the right one");
}

void tern__tls_report_no_key(const char *what, bool asked, tern__stream_failure *failure)
{
    failure->error = TERN_E_TLS;
    failure->step = TERN_STEP_TLS;
    failure->fatal = true;
    snprintf(failure->text, sizeof failure->text, "%s: there is no such key%s", what, asked ? ", or the PIN is wrong" : "");
    snprintf(failure->hint, sizeof failure->hint, "check the token and the object in the URI%s", asked ? ", and the PIN" : "");
}

/* ---- handshake ---- */

/* The name that the certificate should have been for. */
static const char *wanted_name(const tern__tls_stream *stream, char *name, size_t size)
{
    const char *set = stream->context->config.texts[TERN__TLS_VERIFIED_NAME];
    if (set != NULL) return set;
    snprintf(name, size, "%s", stream->peer);
    char *colon = strrchr(name, ':');
    if (colon != NULL) *colon = '\0';
    return name;
}

/* Which certificate, and what of it matters here. */
static void verdict_text(const tern__tls_stream *stream, char *text, size_t size)
{
    const tern__tls_finding *finding = stream->finding;
    const tern__tls_certificate *it = &finding->certificate;
    const char *whose = finding->depth == 0 ? "the server's certificate" : "a certificate in the server's chain";
    const char *wrong = X509_verify_cert_error_string(finding->error);
    char name[256];
    switch (finding->error) {
    case X509_V_ERR_CERT_HAS_EXPIRED: snprintf(text, size, "%s (%.80s) has expired: it was valid until %s", whose, it->subject, it->not_after); break;
    case X509_V_ERR_CERT_NOT_YET_VALID: snprintf(text, size, "%s (%.80s) is not yet valid: it is from %s", whose, it->subject, it->not_before); break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        if (it->names[0] != '\0') {
            snprintf(text, size, "%s is not for %.50s, but for %.100s", whose, wanted_name(stream, name, sizeof name), it->names);
        } else {
            snprintf(text, size, "%s (%.80s) names no host: a common name alone does not count", whose, it->subject);
        }
        break;
    default: snprintf(text, size, "%s (%.80s): %s", whose, it->subject, wrong); break;
    }
}

static void report_verdict(const tern__tls_stream *stream, tern__stream_failure *failure)
{
    char verdict[220];
    verdict_text(stream, verdict, sizeof verdict);
    failure->verify_result = stream->finding->error;
    failure->fatal = true;
    snprintf(failure->text, sizeof failure->text, "%.80s: %.170s", stream->peer, verdict);
    snprintf(failure->hint, sizeof failure->hint, "%s",
             find_hint(verdicts, sizeof verdicts / sizeof verdicts[0], failure->verify_result > 0 ? (int)failure->verify_result : 0));
    ERR_clear_error();
}

/* Alerts that no waiting heals. */
static bool is_fatal_alert(int reason)
{
    switch (reason - SSL_AD_REASON_OFFSET) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_CERTIFICATE_REQUIRED:
    case SSL_AD_UNKNOWN_PSK_IDENTITY: return true;
    default: return false;
    }
}

void tern__tls_report_handshake(const tern__tls_stream *stream, tern__stream_failure *failure)
{
    char data[96];
    unsigned long error = take_error(data, sizeof data);
    int reason = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;
    const char *words = ERR_reason_error_string(error);
    failure->error = TERN_E_TLS;
    failure->step = TERN_STEP_TLS;
    failure->os_error = tern__stream_os_error(stream->base.next);
    if (stream->finding != NULL && reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        report_verdict(stream, failure);
        return;
    }
    if (reason > SSL_AD_REASON_OFFSET) {
        int alert = reason - SSL_AD_REASON_OFFSET;
        snprintf(failure->text, sizeof failure->text, "%.100s: the server answers alert %d (%s)", stream->peer, alert,
                 words != NULL ? words : "unknown");
        failure->fatal = is_fatal_alert(reason);
    } else if (stream->ocsp != NULL) {
        snprintf(failure->text, sizeof failure->text, "%.100s: %.140s", stream->peer, stream->ocsp);
    } else if (stream->ended) {
        char cause[96] = "the server closed the connection";
        if (failure->os_error != 0) tern__os_error_text(failure->os_error, cause, sizeof cause);
        snprintf(failure->text, sizeof failure->text, "%.100s: %s during the handshake", stream->peer, cause);
        reason = SSL_R_UNEXPECTED_EOF_WHILE_READING;
    } else {
        snprintf(failure->text, sizeof failure->text, "%.100s: %s", stream->peer, words != NULL ? words : "OpenSSL failed");
    }
    if (reason == SSL_R_INVALID_STATUS_RESPONSE) failure->fatal = true; /* revoked, or a server that staples nothing */
    snprintf(failure->hint, sizeof failure->hint, "%s", find_hint(reasons, sizeof reasons / sizeof reasons[0], reason));
    ERR_clear_error();
}
#endif
