/* Which proxy stands in between: proxy URLs, and the choice by the environment's variables.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TRANSPORT_PROXY_H
#define TERN_TRANSPORT_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum tern__proxy_kind {
    TERN__PROXY_NONE = 0,
    TERN__PROXY_HTTP = 1,  /* CONNECT */
    TERN__PROXY_SOCKS5 = 2 /* which resolves names itself */
} tern__proxy_kind;

/* A parsed URL, all zero where there is none. Every text is NUL-terminated and lies in one
 * allocation, freed by tern__proxy_deinit(), which cleanses it. */
typedef struct tern__proxy {
    tern__proxy_kind kind;
    char *host; /* name or address without brackets */
    uint16_t port;
    char *user;     /* NULL where absent */
    char *password; /* NULL where absent */
    char *display;  /* the URL without user and password */
    void *memory;
    size_t memory_size;
} tern__proxy;

/* scheme://[user[:password]@]host[:port], where the scheme is http (port 80), socks5 or socks5h
 * (1080, names resolved by the proxy for both), or absent, as http. 0; TERN_E_URL or
 * TERN_E_UNSUPPORTED (https: TLS to the proxy itself) with a sentence in why (position from 1, and
 * the reason; never the password); TERN_E_NOMEM. */
int tern__proxy_parse(const char *text, tern__proxy *proxy, char *why, size_t why_size);
void tern__proxy_deinit(tern__proxy *proxy);

/* The values of HTTPS_PROXY, ALL_PROXY and NO_PROXY; NULL or "" where one is not set. */
typedef struct tern__proxy_environment {
    const char *https_proxy;
    const char *all_proxy;
    const char *no_proxy;
} tern__proxy_environment;

/* The URL of the proxy for a connection, one of the first two; NULL where there is none. host is
 * without brackets. */
const char *tern__proxy_choose(const tern__proxy_environment *environment, const char *host,
                               uint16_t port);
/* Whether NO_PROXY names the host: a list, divided by commas or spaces, of "*", of names that stand
 * for themselves and what is below them (with or without a dot or "*." before), of addresses, and
 * of networks (10.0.0.0/8); each but the first and last with a port, if it is meant for that one
 * only
 * ("[::1]:1883"). */
bool tern__proxy_exempts(const char *no_proxy, const char *host, uint16_t port);

#endif
