/* Real servers and proxies for tests: on free loopback ports, in folders of their own, ended with
 * the test's process however that ends. SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TEST_SUPPORT_PEERS_H
#define TERN_TEST_SUPPORT_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PEER_PORTS = 32 };

/* A running program. Until peers_finish(), also after peer_stop(). */
typedef struct peer {
    const char *name;
    char folder[96]; /* its configuration and its log */
    char log[128];   /* what it printed */
    uint16_t port;   /* the first of its ports */
    uint16_t ports[PEER_PORTS];
    pid_t pid; /* 0 once it was stopped */
} peer;

/* Of peer_mosquitto(): indexes of its ports. The WebSocket ones listen on 127.0.0.1 too. */
enum {
    PEER_PLAIN,
    PEER_TLS,    /* shows good.pem */
    PEER_MUTUAL, /* wants a client certificate, and looks it up in crl.pem */
    PEER_WS,
    PEER_WSS,
    PEER_TLS_IPV6, /* on ::1; port 0 where the machine has no such address */
    PEER_LISTENERS
};

/* Whether the program is installed; where not, says so once more on stderr: a reason to skip. */
bool peer_is_installed(const char *program);

/* Runs certs.sh into a new folder, which peers_finish() removes. NULL where that failed. */
const char *peer_certificates(void);

/* Those below start a program and return when all its ports answer. NULL, with its log on stderr,
 * where it is not installed or does not come up in time. `certificates` is the folder of
 * peer_certificates(). */

/* mosquitto, with the listeners above; anonymous clients are welcome. */
peer *peer_mosquitto(const char *certificates);
/* mosquitto with a TLS listener for each of the certificates ("good", "expired"), which are the first
 * ports, in this order, and a plain one after them. Without certificates (NULL, NULL, 0) there is the
 * plain one. */
peer *peer_mosquitto_showing(const char *certificates, const char *const *names, size_t count);
/* mosquitto with a listener for clients that share a key with it. A process of its own: beside such a one mosquitto 2.0.21 (Debian
 * 13's) has no TLS 1.3 on any listener. */
peer *peer_mosquitto_psk(const char *certificates);
/* login: "user:password", NULL for none. */
peer *peer_tinyproxy(const char *login);
peer *peer_microsocks(const char *login);
/* nginx that ends TLS before a WebSocket server without it, at any path. `more` (may be NULL) goes
 * into its server block, for instance "ssl_protocols TLSv1.2;". */
peer *peer_nginx(const char *certificates, uint16_t backend, const char *more);
/* openssl s_server, showing a certificate ("good"); it answers each line with the line reversed.
 * `options` (may be NULL) ends with NULL. One connection at a time. */
peer *peer_s_server(const char *certificates, const char *name, const char *const *options);

void peer_stop(peer *p);
/* Whether its log holds the text by the deadline of patience (it comes a moment after the fact). */
bool peer_logged(const peer *p, const char *text);

/* Ends all peers and removes their folders; where `failed` is not 0 their logs are printed before
 * that. Returns `failed`. */
int peers_finish(int failed);

/* Runs a program to its end (arguments end with NULL): its output, both kinds, as a string in
 * `output`, cut where it does not fit. Its input is the text, NULL for none. Returns its exit
 * status; -1 where it could not run or was killed because it took too long. */
int peer_run(const char *const *arguments, const char *input, char *output, size_t size);

#endif
