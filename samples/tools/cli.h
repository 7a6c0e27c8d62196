/* Command lines of tern-pub and tern-sub: options, help, and errors that say what to do.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TOOLS_CLI_H
#define TERN_TOOLS_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tern/tern.h>

#include "way.h"

/* Exit statuses; TIMEOUT is the one that users of mosquitto_pub and mosquitto_sub know. */
enum cli_status { CLI_OK = 0, CLI_USAGE = 1, CLI_FAILED = 2, CLI_TIMEOUT = 27 };

/* One option, as it is parsed and as --help tells it. */
typedef struct cli_option {
    int letter;        /* '-' alone stands for long options without a letter: see cli_long */
    const char *name;  /* without "--"; NULL where there is none */
    const char *value; /* what --help calls its argument; NULL where it takes none */
    const char *help;
} cli_option;

/* Letters of options that have none. */
enum cli_long { CLI_UNIX = 256, CLI_QUIET, CLI_HELP, CLI_VERSION, CLI_CAFILE, CLI_CAPATH, CLI_CERT, CLI_KEY, CLI_KEYPASS, CLI_CIPHERS,
                CLI_ALPN, CLI_TLS_VERSION, CLI_OS_CERTS, CLI_INSECURE, CLI_PSK, CLI_PSK_IDENTITY, CLI_PROXY };

/* What both programs understand. Texts are borrowed from the command line. */
typedef struct cli {
    const char *program;
    const char *host;      /* NULL: localhost, or the URL's */
    unsigned port;         /* 0: 1883, or the URL's */
    const char *unix_path; /* NULL, or a socket instead of host and port */
    const char *url;       /* NULL, or a server as a URL */
    const char *topic_url; /* NULL, or -L: a server as a URL that ends with a topic */
    const char *id;
    const char *user;
    const char *password;
    tern_version version;
    uint16_t keep_alive;
    uint32_t qos;
    uint32_t patience_s; /* -W; 0 = for ever */
    way way;             /* TLS, proxy and the like */
    bool persistent;     /* -c */
    bool debug;
    bool quiet;
} cli;

/* A program's own options: its letter and value. Returns false where the value was refused (and said so). */
typedef bool (*cli_take)(void *self, int letter, const char *value);

/* What a program is. */
typedef struct cli_program {
    const char *name;
    const char *purpose; /* a line for --help */
    const char *usage;   /* what follows the name in the usage line */
    const char *epilogue;
    const cli_option *options; /* ends with letter 0 */
    cli_take take;
} cli_program;

/* Parses the command line. True: go on. False: end with *status (--help, --version, or an error that was told). */
bool cli_parse(cli *self, const cli_program *program, void *owner, int argc, char **argv, int *status);
/* Tells an error in the usage, with a hint at --help. Returns false. */
bool cli_refuse(const cli *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Tells an error, unless --quiet. */
void cli_tell(const cli *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A number from low to high; false where it is none (and said so). */
bool cli_number(const cli *self, const char *option, const char *text, unsigned long low,
                unsigned long high, unsigned long *value);
/* The server's URL from what was given, and the topic of -L (NULL where there is none); both are the caller's to free.
 * False where they contradict each other (and said so). */
bool cli_server(const cli *self, char **url, char **topic);

#endif
