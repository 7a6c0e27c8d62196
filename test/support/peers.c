/* Real servers and proxies for tests.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support/peers.h"

#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/net.h"

enum { PEERS = 16, ARGUMENTS = 32, TRIES = 5 };

/* Of the test's process: what peers_finish() cleans up. */
static peer peers[PEERS];
static size_t peer_count;
static char certificate_folder[96];

/* How a program is started. An argument "@configuration" or "@port" stands for what it is this
 * time. */
typedef struct recipe {
    const char *arguments[ARGUMENTS];
    size_t ports;
    bool last_is_ipv6;
    void (*configure)(const peer *p, FILE *file, const void *what);
    const void *what;
} recipe;

/* ---- files ---- */

static int remove_entry(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about;
    (void)kind;
    (void)where;
    return remove(path);
}

static void remove_folder(char *folder)
{
    if (folder[0] != '\0') nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    folder[0] = '\0';
}

static void print_log(const peer *p)
{
    char text[16384];
    FILE *file = fopen(p->log, "r");
    if (file == NULL) return;
    if (fseek(file, -(long)sizeof text, SEEK_END) != 0) rewind(file);
    const size_t n = fread(text, 1, sizeof text, file);
    fclose(file);
    fprintf(stderr, "---- log of %s, port %u ----\n%.*s\n----\n", p->name, p->port, (int)n, text);
}

/* ---- programs ---- */

/* Servers lie where not every user's PATH leads. */
static bool find_program(const char *name, char *path, size_t size)
{
    static const char *const places[] = {"/usr/sbin", "/usr/bin", "/usr/local/sbin",
                                         "/usr/local/bin"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        snprintf(path, size, "%s/%s", places[i], name);
        if (access(path, X_OK) == 0) return true;
    }
    return false;
}

bool peer_is_installed(const char *program)
{
    char path[128];
    if (find_program(program, path, sizeof path)) return true;
    fprintf(stderr, "%s is not installed\n", program);
    return false;
}

static void become(const char *const *arguments, int input, int output)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0) _exit(127);
    if (dup2(output, STDERR_FILENO) < 0) _exit(127);
    execvp(arguments[0], (char *const *)(uintptr_t)arguments);
    _exit(127);
}

/* A child that does not outlive its parent, not even one that crashes. */
static pid_t spawn(const char *const *arguments, int input, int output)
{
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid != 0) return pid > 0 ? pid : 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent) become(arguments, input, output);
    _exit(127);
}

static pid_t spawn_logged(const char *const *arguments, const char *log)
{
    const int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int output = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    const pid_t pid = input >= 0 && output >= 0 ? spawn(arguments, input, output) : 0;
    if (input >= 0) close(input);
    if (output >= 0) close(output);
    return pid;
}

/* ---- starting ---- */

/* 0 where there is no such address. */
static uint16_t free_port(const char *address)
{
    uint16_t port;
    const int listener = net_listen(address, &port);
    if (listener >= 0) close(listener);
    return port;
}

static const char *address_of(const recipe *r, size_t i)
{
    return r->last_is_ipv6 && i == r->ports - 1 ? "::1" : "127.0.0.1";
}

static bool has_ended(peer *p)
{
    if (waitpid(p->pid, NULL, WNOHANG) == 0) return false;
    p->pid = 0;
    return true;
}

typedef struct readiness {
    peer *p;
    const recipe *recipe;
    size_t answered;
} readiness;

/* Ready, or dead: then there is nothing to wait for any more. */
static bool answers_or_ended(void *argument)
{
    readiness *r = argument;
    if (has_ended(r->p)) return true;
    while (r->answered < r->recipe->ports) {
        const uint16_t port = r->p->ports[r->answered];
        const int fd = port != 0 ? net_connect(address_of(r->recipe, r->answered), port) : -1;
        if (fd < 0 && port != 0) return false;
        if (fd >= 0) close(fd);
        r->answered++;
    }
    return true;
}

static bool write_configuration(const peer *p, const recipe *r, char *path, size_t size)
{
    snprintf(path, size, "%s/configuration", p->folder);
    if (r->configure == NULL) return true;
    FILE *file = fopen(path, "w");
    if (file == NULL) return false;
    r->configure(p, file, r->what);
    return fclose(file) == 0;
}

static void fill_in(const recipe *r, const char *configuration, const char *port,
                    const char **arguments)
{
    size_t i;
    for (i = 0; r->arguments[i] != NULL; i++) {
        arguments[i] = r->arguments[i];
        if (strcmp(arguments[i], "@configuration") == 0) arguments[i] = configuration;
        if (strcmp(arguments[i], "@port") == 0) arguments[i] = port;
    }
    arguments[i] = NULL;
}

static bool try_to_start(peer *p, const recipe *r)
{
    char program[128];
    char configuration[128];
    char port[8];
    const char *arguments[ARGUMENTS];
    for (size_t i = 0; i < r->ports; i++)
        p->ports[i] = free_port(address_of(r, i));
    p->port = p->ports[0];
    snprintf(port, sizeof port, "%u", p->port);
    if (!write_configuration(p, r, configuration, sizeof configuration)) return false;
    fill_in(r, configuration, port, arguments);
    if (!find_program(arguments[0], program, sizeof program)) return false;
    arguments[0] = program;
    p->pid = spawn_logged(arguments, p->log);
    readiness ready = {p, r, 0};
    if (p->pid == 0) return false;
    return net_wait_until(answers_or_ended, &ready, NET_PATIENCE_MS) && p->pid != 0;
}

static peer *new_peer(const char *name)
{
    char folder[96];
    peer *p = &peers[peer_count];
    if (!peer_is_installed(name) || peer_count == PEERS) return NULL;
    if (!net_temp_dir(folder, sizeof folder)) return NULL;
    memset(p, 0, sizeof *p);
    p->name = name;
    memcpy(p->folder, folder, sizeof folder);
    snprintf(p->log, sizeof p->log, "%s/log", folder);
    peer_count++;
    return p;
}

/* A port that was free a moment ago may be taken by now: then others are tried. */
static peer *start(const recipe *r)
{
    peer *p = new_peer(r->arguments[0]);
    for (int i = 0; p != NULL && i < TRIES; i++) {
        if (try_to_start(p, r)) return p;
        peer_stop(p);
    }
    if (p != NULL) print_log(p);
    return NULL;
}

/* ---- mosquitto ---- */

static void write_mosquitto(FILE *file)
{
    fprintf(file,
            "log_type all\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\n");
    if (geteuid() == 0) fprintf(file, "user root\n");
}

static void write_tls(FILE *file, const char *folder, const char *name)
{
    fprintf(file, "certfile %s/%s.pem\nkeyfile %s/server.key\n", folder, name, folder);
}

/* A listener for WebSocket ignores its bind address: the socket's domain keeps it on 127.0.0.1. */
static void write_all_listeners(const peer *p, FILE *file, const void *what)
{
    const char *folder = what;
    write_mosquitto(file);
    fprintf(file, "listener %u 127.0.0.1\nlistener %u 127.0.0.1\n", p->ports[PEER_PLAIN],
            p->ports[PEER_TLS]);
    write_tls(file, folder, "good");
    fprintf(file, "listener %u 127.0.0.1\n", p->ports[PEER_MUTUAL]);
    write_tls(file, folder, "good");
    fprintf(file, "require_certificate true\ncafile %s/root.pem\ncrlfile %s/crl.pem\n", folder,
            folder);
    fprintf(file, "listener %u\nsocket_domain ipv4\nprotocol websockets\n", p->ports[PEER_WS]);
    fprintf(file, "listener %u\nsocket_domain ipv4\nprotocol websockets\n", p->ports[PEER_WSS]);
    write_tls(file, folder, "good");
    if (p->ports[PEER_TLS_IPV6] == 0) return;
    fprintf(file, "listener %u ::1\n", p->ports[PEER_TLS_IPV6]);
    write_tls(file, folder, "good");
}

peer *peer_mosquitto(const char *certificates)
{
    const recipe r = {{"mosquitto", "-c", "@configuration", NULL},
                      PEER_LISTENERS,
                      true,
                      write_all_listeners,
                      certificates};
    return start(&r);
}

static void write_psk_listener(const peer *p, FILE *file, const void *what)
{
    const char *folder = what;
    write_mosquitto(file);
    fprintf(file, "listener %u 127.0.0.1\npsk_hint tern\npsk_file %s/psk\n", p->port, folder);
}

peer *peer_mosquitto_psk(const char *certificates)
{
    const recipe r = {{"mosquitto", "-c", "@configuration", NULL}, 1, false, write_psk_listener, certificates};
    return start(&r);
}

typedef struct showing {
    const char *folder;
    const char *const *names;
    size_t count;
} showing;

static void write_shown(const peer *p, FILE *file, const void *what)
{
    const showing *s = what;
    write_mosquitto(file);
    fprintf(file, "listener %u 127.0.0.1\n", p->ports[s->count]);
    for (size_t i = 0; i < s->count; i++) {
        fprintf(file, "listener %u 127.0.0.1\n", p->ports[i]);
        write_tls(file, s->folder, s->names[i]);
    }
}

peer *peer_mosquitto_showing(const char *certificates, const char *const *names, size_t count)
{
    const showing what = {certificates, names, count};
    const recipe r = {
        {"mosquitto", "-c", "@configuration", NULL}, count + 1, false, write_shown, &what};
    return count < PEER_PORTS ? start(&r) : NULL;
}

/* ---- proxies ---- */

/* "user:password" in two; empty without. */
typedef struct login {
    char user[64];
    const char *password;
} login;

static login split_login(const char *text)
{
    login l = {"", ""};
    const char *colon = text != NULL ? strchr(text, ':') : NULL;
    if (colon == NULL) return l;
    snprintf(l.user, sizeof l.user, "%.*s", (int)(colon - text), text);
    l.password = colon + 1;
    return l;
}

static void write_tinyproxy(const peer *p, FILE *file, const void *what)
{
    const login *l = what;
    fprintf(file, "Port %u\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 60\nMaxClients 50\n",
            p->port);
    fprintf(file, "LogLevel Connect\n");
    if (l->user[0] != '\0') fprintf(file, "BasicAuth %s %s\n", l->user, l->password);
}

peer *peer_tinyproxy(const char *login_text)
{
    const login l = split_login(login_text);
    const recipe r = {
        {"tinyproxy", "-d", "-c", "@configuration", NULL}, 1, false, write_tinyproxy, &l};
    return start(&r);
}

peer *peer_microsocks(const char *login_text)
{
    const login l = split_login(login_text);
    const recipe open_to_all = {
        {"microsocks", "-i", "127.0.0.1", "-p", "@port", NULL}, 1, false, NULL, NULL};
    const recipe r = {
        {"microsocks", "-i", "127.0.0.1", "-p", "@port", "-u", l.user, "-P", l.password, NULL},
        1,
        false,
        NULL,
        NULL};
    return start(login_text != NULL ? &r : &open_to_all);
}

/* ---- nginx ---- */

typedef struct front {
    const char *folder;
    const char *more;
    uint16_t backend;
} front;

static void write_nginx(const peer *p, FILE *file, const void *what)
{
    static const char *const temporary[] = {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"};
    const front *f = what;
    fprintf(file, "daemon off;\nmaster_process off;\npid %s/pid;\nerror_log stderr;\nevents { }\n",
            p->folder);
    fprintf(file, "http {\naccess_log off;\n");
    for (size_t i = 0; i < sizeof temporary / sizeof temporary[0]; i++)
        fprintf(file, "%s_temp_path %s/%s;\n", temporary[i], p->folder, temporary[i]);
    fprintf(file, "server {\nlisten 127.0.0.1:%u ssl;\n", p->port);
    fprintf(file, "ssl_certificate %s/good.pem;\nssl_certificate_key %s/server.key;\n%s\n",
            f->folder, f->folder, f->more != NULL ? f->more : "");
    fprintf(file, "location / {\nproxy_pass http://127.0.0.1:%u;\nproxy_http_version 1.1;\n",
            f->backend);
    fprintf(
        file,
        "proxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection upgrade;\n}\n}\n}\n");
}

peer *peer_nginx(const char *certificates, uint16_t backend, const char *more)
{
    const front f = {certificates, more, backend};
    const recipe r = {{"nginx", "-c", "@configuration", NULL}, 1, false, write_nginx, &f};
    return start(&r);
}

/* ---- openssl s_server ---- */

/* It says which port it got: "ACCEPT 127.0.0.1:40123". */
static bool says_port(void *argument)
{
    static const char mark[] = "ACCEPT 127.0.0.1:";
    peer *p = argument;
    char *said = net_said(p->log);
    const char *at = strstr(said, mark);
    if (at != NULL) p->port = p->ports[0] = (uint16_t)strtoul(at + strlen(mark), NULL, 10);
    free(said);
    return at != NULL || has_ended(p);
}

peer *peer_s_server(const char *certificates, const char *name, const char *const *options)
{
    char certificate[160];
    char chain[160];
    char key[160];
    snprintf(certificate, sizeof certificate, "%s/%s.pem", certificates, name);
    snprintf(chain, sizeof chain, "%s/intermediate.pem", certificates);
    snprintf(key, sizeof key, "%s/server.key", certificates);
    const char *arguments[ARGUMENTS] = {
        "openssl", "s_server", "-accept", "127.0.0.1:0", "-rev", "-cert", certificate, "-key", key};
    size_t n = 9;
    if (strcmp(name, "broken") != 0 && strcmp(name, "self_signed") != 0 &&
        strcmp(name, "wrong_ca") != 0) {
        arguments[n++] = "-cert_chain";
        arguments[n++] = chain;
    }
    for (size_t i = 0; options != NULL && options[i] != NULL && n < ARGUMENTS - 1; i++)
        arguments[n++] = options[i];
    peer *p = new_peer("openssl");
    if (p == NULL) return NULL;
    p->pid = spawn_logged(arguments, p->log);
    if (p->pid > 0 && net_wait_until(says_port, p, NET_PATIENCE_MS) && p->port != 0) return p;
    print_log(p);
    peer_stop(p);
    return NULL;
}

/* ---- the end ---- */

void peer_stop(peer *p)
{
    if (p->pid > 0) (void)net_stop(p->pid, SIGTERM, NET_PATIENCE_MS);
    p->pid = 0;
}

bool peer_logged(const peer *p, const char *text)
{
    return net_wait_said(p->log, text, NET_PATIENCE_MS);
}

int peers_finish(int failed)
{
    for (size_t i = 0; i < peer_count; i++) {
        peer_stop(&peers[i]);
        if (failed != 0) print_log(&peers[i]);
        remove_folder(peers[i].folder);
    }
    peer_count = 0;
    remove_folder(certificate_folder);
    return failed;
}

/* ---- programs that run to their end ---- */

const char *peer_certificates(void)
{
    char output[4096];
    if (!net_temp_dir(certificate_folder, sizeof certificate_folder)) return NULL;
    const char *const arguments[] = {TERN_TEST_CERTS, certificate_folder, NULL};
    if (peer_run(arguments, NULL, output, sizeof output) == 0) return certificate_folder;
    fprintf(stderr, "certificates could not be made:\n%s\n", output);
    return NULL;
}

static void keep_output(int fd, char *output, size_t size)
{
    char rest[4096];
    size_t used = 0;
    while (net_readable(fd, NET_PATIENCE_MS)) {
        const bool full = used + 1 >= size;
        const ssize_t n =
            read(fd, full ? rest : output + used, full ? sizeof rest : size - 1 - used);
        if (n <= 0) break;
        if (!full) used += (size_t)n;
    }
    output[used] = '\0';
}

/* Input is short, and waits in a file: a program that does not read it disturbs nobody. */
static int input_of(const char *text)
{
    const int fd = memfd_create("input", MFD_CLOEXEC);
    const size_t len = strlen(text);
    if (fd < 0 || (size_t)pwrite(fd, text, len, 0) == len) return fd;
    close(fd);
    return -1;
}

int peer_run(const char *const *arguments, const char *input, char *output, size_t size)
{
    int ends[2];
    output[0] = '\0';
    if (pipe2(ends, O_CLOEXEC) != 0) return -1;
    const int in = input_of(input != NULL ? input : "");
    const pid_t pid = in >= 0 ? spawn(arguments, in, ends[1]) : 0;
    close(ends[1]);
    if (in >= 0) close(in);
    if (pid > 0) keep_output(ends[0], output, size);
    close(ends[0]);
    if (pid <= 0) return -1;
    const int status = net_stop(pid, 0, NET_PATIENCE_MS);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
