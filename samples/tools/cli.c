/* Command lines of tern-pub and tern-sub: options, help, and errors that say what to do.
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OPTIONS = 64 };

static const cli_option common[] = {
    {'h', "host", "HOST", "the broker's name or address (default localhost)"},
    {'p', "port", "PORT", "the broker's port (default 1883, with TLS 8883)"},
    {CLI_UNIX, "unix", "PATH", "the broker's Unix socket, instead of host and port"},
    {'L', "url", "URL", "server and topic in one: mqtt://[user[:password]@]host[:port]/topic, or mqtts://"},
    {'A', "bind", "ADDRESS", "connect from this local address"},
    {CLI_CAFILE, "cafile", "FILE", "use TLS and trust the authorities in this PEM file alone"},
    {CLI_CAPATH, "capath", "DIRECTORY", "use TLS and trust the authorities in this directory alone"},
    {CLI_OS_CERTS, "tls-use-os-certs", NULL, "use TLS and trust the system's authorities"},
    {CLI_CERT, "cert", "FILE", "use TLS with this client certificate (PEM)"},
    {CLI_KEY, "key", "FILE", "its private key, or a pkcs11: URI (default: in the file of --cert)"},
    {CLI_KEYPASS, "keypass", "PASSWORD", "the private key's password"},
    {CLI_CIPHERS, "ciphers", "LIST", "the ciphers of TLS 1.2 that are offered"},
    {CLI_ALPN, "tls-alpn", "PROTOCOLS", "the application protocols that are offered, commas between them"},
    {CLI_TLS_VERSION, "tls-version", "VERSION", "the oldest TLS that is accepted: tlsv1.2 (default) or tlsv1.3"},
    {CLI_INSECURE, "insecure", NULL, "do not verify that the certificate is for this host: for tests alone"},
    {CLI_PSK, "psk", "KEY", "use TLS with a pre-shared key (hexadecimal)"},
    {CLI_PSK_IDENTITY, "psk-identity", "NAME", "the identity of the pre-shared key"},
    {CLI_PROXY, "proxy", "URL", "go through this proxy: socks5://[user:password@]host[:port] or http://..."},
    {'i', "id", "ID", "the client id (default: the broker assigns one)"},
    {'c', "disable-clean-session", NULL, "keep the session at the broker after the end; needs -i"},
    {'u', "username", "NAME", "the user name"},
    {'P', "pw", "PASSWORD", "the password"},
    {'k', "keepalive", "SECONDS", "the keep alive, 0 to 65535 (default 60, 0 = off)"},
    {'V', "protocol-version", "VERSION", "mqttv5, mqttv311 or auto (default auto)"},
    {'q', "qos", "QOS", "the quality of service: 0, 1 or 2 (default 0)"},
    {'W', "timeout", "SECONDS", "give up after so long, with exit status 27 (default: never)"},
    {'d', "debug", NULL, "tell on standard error what happens"},
    {CLI_QUIET, "quiet", NULL, "tell no errors, only the exit status"},
    {CLI_HELP, "help", NULL, "show this text and end"},
    {CLI_VERSION, "version", NULL, "show the version and end"},
    {0, NULL, NULL, NULL},
};

/* ---- telling ---- */

bool cli_refuse(const cli *self, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "%s: ", self->program);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\nTry '%s --help'.\n", self->program);
    return false;
}

void cli_tell(const cli *self, const char *format, ...)
{
    if (self->quiet) return;
    va_list arguments;
    fprintf(stderr, "%s: ", self->program);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

static void print_options(const cli_option *options)
{
    for (; options->letter != 0; options++) {
        char left[48] = "    ";
        char right[40] = "";
        if (options->letter < CLI_UNIX) snprintf(left, sizeof left, "-%c%s", options->letter, options->name != NULL ? ", " : "");
        if (options->name != NULL) snprintf(right, sizeof right, "--%s", options->name);
        printf("  %s%s%s%s\n        %s\n", left, right, options->value != NULL ? " " : "",
               options->value != NULL ? options->value : "", options->help);
    }
}

static void print_help(const cli_program *program)
{
    printf("%s\n\nUsage: %s %s\n\n", program->purpose, program->name, program->usage);
    print_options(program->options);
    print_options(common);
    printf("\n%s", program->epilogue);
}

/* ---- values ---- */

bool cli_number(const cli *self, const char *option, const char *text, unsigned long low,
                unsigned long high, unsigned long *value)
{
    char *end;
    errno = 0;
    *value = strtoul(text, &end, 10);
    bool digits = text[0] >= '0' && text[0] <= '9';
    if (digits && *end == '\0' && errno == 0 && *value >= low && *value <= high) return true;
    return cli_refuse(self, "%s takes a number from %lu to %lu, not '%s'", option, low, high, text);
}

static bool take_version(cli *self, const char *text)
{
    static const struct {
        const char *text;
        tern_version version;
    } rows[] = {{"auto", TERN_VERSION_AUTO},    {"mqttv5", TERN_VERSION_5},     {"5", TERN_VERSION_5},
                {"mqttv311", TERN_VERSION_311}, {"mqttv3.1.1", TERN_VERSION_311}, {"311", TERN_VERSION_311},
                {"3.1.1", TERN_VERSION_311}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(text, rows[i].text) != 0) continue;
        self->version = rows[i].version;
        return true;
    }
    return cli_refuse(self, "-V takes mqttv5, mqttv311 or auto, not '%s'%s", text,
                      strcmp(text, "mqttv31") == 0 || strcmp(text, "31") == 0
                          ? " (MQTT 3.1 is older than what Tern speaks)"
                          : "");
}

/* An option about TLS, proxies and sockets. False where it is none of them. */
static bool take_way(way *self, int letter, const char *value)
{
    switch (letter) {
    case 'A': self->local = value; break;
    case CLI_CAFILE: self->ca_file = value; break;
    case CLI_CAPATH: self->ca_directory = value; break;
    case CLI_OS_CERTS: self->system_trust = true; break;
    case CLI_CERT: self->certificate = value; break;
    case CLI_KEY: self->key = value; break;
    case CLI_KEYPASS: self->key_password = value; break;
    case CLI_CIPHERS: self->ciphers = value; break;
    case CLI_ALPN: self->alpn = value; break;
    case CLI_TLS_VERSION: self->tls_version = value; break;
    case CLI_INSECURE: self->insecure = true; break;
    case CLI_PSK: self->psk = value; break;
    case CLI_PSK_IDENTITY: self->psk_identity = value; break;
    case CLI_PROXY: self->proxy = value; break;
    default: return false;
    }
    return true;
}

/* An option that both programs know. */
static bool take_common(cli *self, int letter, const char *value)
{
    unsigned long number = 0;
    bool good = true;
    if (take_way(&self->way, letter, value)) return true;
    switch (letter) {
    case 'h': self->host = value; break;
    case 'p':
        good = cli_number(self, "-p", value, 1, 65535, &number);
        self->port = (unsigned)number;
        break;
    case CLI_UNIX: self->unix_path = value; break;
    case 'L': self->topic_url = value; break;
    case 'i': self->id = value; break;
    case 'c': self->persistent = true; break;
    case 'u': self->user = value; break;
    case 'P': self->password = value; break;
    case 'k':
        good = cli_number(self, "-k", value, 0, 65535, &number);
        self->keep_alive = (uint16_t)number;
        break;
    case 'V': return take_version(self, value);
    case 'q':
        good = cli_number(self, "-q", value, 0, 2, &number);
        self->qos = (uint32_t)number;
        break;
    case 'W':
        good = cli_number(self, "-W", value, 1, 1000000, &number);
        self->patience_s = (uint32_t)number;
        break;
    case 'd': self->debug = true; break;
    case CLI_QUIET: self->quiet = true; break;
    default: return false;
    }
    return good;
}

/* ---- parsing ---- */

/* The options in getopt's two forms. */
typedef struct forms {
    char letters[2 * MAX_OPTIONS + 2];
    struct option names[MAX_OPTIONS + 1];
    size_t letter_count;
    size_t name_count;
} forms;

static void add_forms(forms *to, const cli_option *options)
{
    for (; options->letter != 0; options++) {
        if (options->letter < CLI_UNIX) {
            to->letters[to->letter_count++] = (char)options->letter;
            if (options->value != NULL) to->letters[to->letter_count++] = ':';
        }
        if (options->name == NULL) continue;
        int takes = options->value != NULL ? required_argument : no_argument;
        to->names[to->name_count++] = (struct option){options->name, takes, NULL, options->letter};
    }
}

static bool is_of(const cli_option *options, int letter)
{
    while (options->letter != 0 && options->letter != letter) options++;
    return options->letter != 0;
}

/* What getopt did not understand: letter is '?' or ':'. */
static bool refuse_option(const cli *self, int letter, char **argv)
{
    const char *what = letter == ':' ? "needs a value" : "is not an option, or not one that takes a value";
    if (optopt > 0 && optopt < CLI_UNIX) return cli_refuse(self, "-%c %s", optopt, what);
    return cli_refuse(self, "%s %s", argv[optind - 1], what);
}

static bool check(const cli *self)
{
    if (self->persistent && self->id == NULL)
        return cli_refuse(self, "-c keeps a session, which needs a name: give the client an id with -i");
    if (self->password != NULL && self->user == NULL && self->version == TERN_VERSION_311)
        return cli_refuse(self, "MQTT 3.1.1 has no password without a user name: add -u");
    const char *trouble = way_trouble(&self->way);
    return trouble == NULL || cli_refuse(self, "%s", trouble);
}

bool cli_parse(cli *self, const cli_program *program, void *owner, int argc, char **argv, int *status)
{
    forms all = {.letters = ":", .letter_count = 1};
    add_forms(&all, program->options);
    add_forms(&all, common);
    *self = (cli){.program = program->name, .keep_alive = 60};
    *status = CLI_USAGE;
    opterr = 0;
    int letter;
    while ((letter = getopt_long(argc, argv, all.letters, all.names, NULL)) != -1) {
        if (letter == CLI_HELP || letter == CLI_VERSION) {
            *status = CLI_OK;
            if (letter == CLI_HELP) print_help(program);
            if (letter == CLI_VERSION) printf("%s (Tern) %s\n", program->name, tern_version_string());
            return false;
        }
        if (letter == '?' || letter == ':') return refuse_option(self, letter, argv);
        bool own = is_of(program->options, letter);
        if (own ? !program->take(owner, letter, optarg) : !take_common(self, letter, optarg)) return false;
    }
    if (optind < argc) self->url = argv[optind++];
    if (optind < argc)
        return cli_refuse(self, "'%s' is one word too many: a text with spaces needs quotes", argv[optind]);
    return check(self);
}

/* ---- the server ---- */

static char *format_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *format_text(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0) text = NULL;
    va_end(arguments);
    return text;
}

/* Whether a URL holds a password, it may be, so that no error shows it. */
static bool has_secret(const char *url) { return strchr(url, '@') != NULL; }

/* -L: what stands before the first '/' of the rest is the server, what follows is the topic. */
static bool split_topic_url(const cli *self, char **url, char **topic)
{
    const char *mark = strstr(self->topic_url, "://");
    const char *slash = mark != NULL ? strchr(mark + 3, '/') : NULL;
    if (slash == NULL || slash[1] == '\0' || slash == mark + 3) {
        if (has_secret(self->topic_url)) return cli_refuse(self, "-L takes a server and a topic, mqtt://host/topic");
        return cli_refuse(self, "-L takes a server and a topic, mqtt://host/topic, not '%s'", self->topic_url);
    }
    *url = format_text("%.*s", (int)(slash - self->topic_url), self->topic_url);
    *topic = format_text("%s", slash + 1);
    return true;
}

bool cli_server(const cli *self, char **url, char **topic)
{
    *url = NULL;
    *topic = NULL;
    bool by_host = self->host != NULL || self->port != 0;
    int ways = by_host + (self->unix_path != NULL) + (self->url != NULL) + (self->topic_url != NULL);
    if (ways > 1) return cli_refuse(self, "name the server once: by -h and -p, by --unix, by -L or by a URL");
    if (self->topic_url != NULL) {
        if (!split_topic_url(self, url, topic)) return false;
    } else if (self->url != NULL) {
        *url = format_text("%s", self->url);
    } else if (self->unix_path != NULL) {
        *url = format_text("unix://%s", self->unix_path);
    } else {
        const char *host = self->host != NULL ? self->host : "localhost";
        bool bare_ipv6 = strchr(host, ':') != NULL && host[0] != '[';
        bool tls = way_wants_tls(&self->way);
        *url = format_text("%s://%s%s%s:%u", tls ? "mqtts" : "mqtt", bare_ipv6 ? "[" : "", host, bare_ipv6 ? "]" : "",
                           self->port != 0 ? self->port : tls ? 8883u : 1883u);
    }
    char why[256];
    if (*url == NULL) return cli_refuse(self, "out of memory");
    if (self->way.proxy != NULL && tern_proxy_url_error(self->way.proxy, why, sizeof why) != 0)
        return cli_refuse(self, "--proxy: %s", why);
    if (tern_url_error(*url, why, sizeof why) == 0) return true;
    if (has_secret(*url)) return cli_refuse(self, "cannot use the server: %s", why);
    return cli_refuse(self, "cannot use the server '%s': %s", *url, why);
}
