/* tern-pub: publishes messages and ends when each has its outcome.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

/* With -l the outbox holds so much and no more is read: the sender of the lines waits for the broker. */
enum { LINES_BYTES = 4 << 20, LINES_COUNT = 10000, BLOCK_MS = 100, CHUNK = 64 << 10 };

/* Where the messages come from. */
enum source { SOURCE_NONE, SOURCE_TEXT, SOURCE_FILE, SOURCE_LINES, SOURCE_INPUT, SOURCE_EMPTY };

/* Bytes that were read and not published yet. */
typedef struct bytes {
    char *data;
    size_t length;
    size_t room;
} bytes;

typedef struct publisher {
    cli cli;
    run run;
    enum source source;
    unsigned sources; /* how many were given */
    const char *text; /* -m's message or -f's file */
    const char *topic;
    uint32_t flags;
    uint64_t accepted;
    uint64_t settled; /* messages with an outcome */
    uint64_t good;    /* of them, DELIVERED or SENT */
} publisher;

static bool take(void *owner, int letter, const char *value)
{
    static const struct {
        int letter;
        enum source source;
    } sources[] = {{'m', SOURCE_TEXT}, {'f', SOURCE_FILE}, {'l', SOURCE_LINES}, {'s', SOURCE_INPUT}, {'n', SOURCE_EMPTY}};
    publisher *self = owner;
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        if (sources[i].letter != letter) continue;
        self->source = sources[i].source;
        self->text = value;
        self->sources++;
        return true;
    }
    if (letter == 't') self->topic = value;
    if (letter == 'r') self->flags |= TERN_RETAIN;
    return true;
}

static const cli_option options[] = {
    {'t', "topic", "TOPIC", "where to publish"},
    {'m', "message", "TEXT", "publish this text"},
    {'f', "file", "FILE", "publish the file's contents as one message"},
    {'l', "stdin-line", NULL, "publish each line of standard input as a message, as they come"},
    {'s', "stdin-file", NULL, "publish all of standard input as one message"},
    {'n', "null-message", NULL, "publish an empty message"},
    {'r', "retain", NULL, "let the broker keep the message for later subscribers"},
    {0, NULL, NULL, NULL},
};

static const cli_program program = {
    .name = "tern-pub",
    .purpose = "Publishes MQTT messages, and ends when the outcome of each is known.",
    .usage = "[options] -t TOPIC (-m TEXT | -f FILE | -l | -s | -n) [URL]",
    .epilogue = "URL is mqtt://[user[:password]@]host[:port] or unix:///path. While the broker is away\n"
                "messages queue and tern-pub goes on trying; a name that does not exist and refused\n"
                "credentials end it at once.\n\n"
                "Exit status: 0 every message was delivered (QoS 0: sent), 1 wrong usage, 2 a message was\n"
                "not delivered or the broker cannot be used, 27 -W passed first.\n",
    .options = options,
    .take = take,
};

/* ---- outcomes ---- */

static void tell_outcome(const publisher *self, const tern_delivery *delivery)
{
    uint64_t first = tern_delivery_first_id(delivery);
    uint64_t last = tern_delivery_last_id(delivery);
    char which[64];
    if (first == last) {
        snprintf(which, sizeof which, "message %" PRIu64, first);
    } else {
        snprintf(which, sizeof which, "messages %" PRIu64 " to %" PRIu64, first, last);
    }
    int reason = tern_delivery_reason_code(delivery);
    tern_outcome outcome = tern_delivery_outcome(delivery);
    bool refused = outcome == TERN_OUTCOME_REFUSED && reason >= 0;
    cli_tell(&self->cli, "%s: %s (%s)", which, tern_outcome_name(outcome),
             refused ? tern_reason_text(reason) : tern_cause_name(tern_delivery_cause(delivery)));
}

static void on_delivery(tern_client *client, const tern_delivery *delivery, void *user_data)
{
    publisher *self = user_data;
    tern_outcome outcome = tern_delivery_outcome(delivery);
    uint64_t count = tern_delivery_count(delivery);
    (void)client;
    self->settled += count;
    if (outcome == TERN_OUTCOME_DELIVERED || outcome == TERN_OUTCOME_SENT) {
        self->good += count;
    } else {
        tell_outcome(self, delivery);
    }
}

/* ---- publishing ---- */

/* Waits for room in the outbox as long as the run goes on. */
static void publish(publisher *self, const void *data, size_t length)
{
    int rc;
    do {
        rc = tern_client_publish(self->run.client, self->topic, data, length, self->flags | self->cli.qos, NULL);
    } while (rc == TERN_E_TIMEOUT && run_poll(&self->run));
    if (rc == 0) self->accepted++;
    if (rc == 0 || self->run.over) return;
    cli_tell(&self->cli, "%s", tern_client_error_text(self->run.client));
    run_end(&self->run, tern_error_class_of(rc) == TERN_CLASS_USAGE ? CLI_USAGE : CLI_FAILED);
}

/* ---- input ---- */

/* Reads once. 1: something came; 0: the end; -1: failed, and said so. */
static int read_more(publisher *self, int fd, bytes *into)
{
    if (into->room - into->length < CHUNK) {
        char *data = realloc(into->data, into->room * 2 + CHUNK);
        if (data == NULL) {
            cli_tell(&self->cli, "out of memory");
            return -1;
        }
        into->data = data;
        into->room = into->room * 2 + CHUNK;
    }
    ssize_t n;
    do {
        n = read(fd, into->data + into->length, CHUNK);
    } while (n < 0 && errno == EINTR);
    if (n < 0) cli_tell(&self->cli, "cannot read: %s", strerror(errno));
    if (n > 0) into->length += (size_t)n;
    return n > 0 ? 1 : (int)n;
}

/* Publishes all that a descriptor gives as one message. */
static void publish_whole(publisher *self, int fd)
{
    bytes all = {NULL, 0, 0};
    int rc;
    do {
        rc = read_more(self, fd, &all);
    } while (rc > 0);
    if (rc == 0) publish(self, all.data != NULL ? all.data : "", all.length);
    if (rc < 0) run_end(&self->run, CLI_FAILED);
    free(all.data);
}

static void publish_file(publisher *self)
{
    int fd = open(self->text, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        cli_tell(&self->cli, "cannot open '%s': %s", self->text, strerror(errno));
        run_end(&self->run, CLI_FAILED);
        return;
    }
    publish_whole(self, fd);
    close(fd);
}

/* Publishes the whole lines in the buffer; at the end of input also what is left. */
static void publish_lines(publisher *self, bytes *input, bool at_end)
{
    size_t at = 0;
    while (at < input->length && !self->run.over) {
        const char *end = memchr(input->data + at, '\n', input->length - at);
        if (end == NULL && !at_end) break;
        size_t length = end != NULL ? (size_t)(end - (input->data + at)) : input->length - at;
        publish(self, input->data + at, length);
        at += length + (end != NULL ? 1 : 0);
    }
    memmove(input->data, input->data + at, input->length - at);
    input->length -= at;
}

/* Publishes lines as they come, while callbacks run. */
static void stream_lines(publisher *self)
{
    bytes input = {NULL, 0, 0};
    bool readable;
    while (run_wait(&self->run, STDIN_FILENO, &readable)) {
        if (!readable) continue;
        int rc = read_more(self, STDIN_FILENO, &input);
        if (rc < 0) run_end(&self->run, CLI_FAILED);
        if (rc >= 0) publish_lines(self, &input, rc == 0);
        if (rc <= 0) break;
    }
    free(input.data);
}

static void publish_all(publisher *self)
{
    switch (self->source) {
    case SOURCE_TEXT: publish(self, self->text, strlen(self->text)); break;
    case SOURCE_FILE: publish_file(self); break;
    case SOURCE_LINES: stream_lines(self); break;
    case SOURCE_INPUT: publish_whole(self, STDIN_FILENO); break;
    case SOURCE_EMPTY: publish(self, "", 0); break;
    case SOURCE_NONE: break;
    }
}

/* ---- the whole ---- */

static int run_all(publisher *self, const char *url)
{
    static const run_options own = {
        .block_ms = BLOCK_MS, .outbox_bytes = LINES_BYTES, .outbox_messages = LINES_COUNT};
    bool readable;
    if (!run_open(&self->run, &self->cli, url, &own)) return run_close(&self->run);
    int rc = tern_client_set_delivery_handler(self->run.client, on_delivery, self);
    if (rc != 0) run_end(&self->run, CLI_FAILED);
    if (run_connect(&self->run)) publish_all(self);
    while (!self->run.over && self->settled < self->accepted) (void)run_wait(&self->run, -1, &readable);
    run_end(&self->run, self->good == self->accepted ? CLI_OK : CLI_FAILED);
    uint64_t missing = self->accepted - self->good;
    int status = run_close(&self->run);
    if (status == CLI_OK && self->good != self->accepted) status = CLI_FAILED; /* a signal ended the wait */
    if (status == CLI_TIMEOUT)
        cli_tell(&self->cli, "time is up: %" PRIu64 " of %" PRIu64 " messages were not delivered", missing, self->accepted);
    return status;
}

int main(int argc, char **argv)
{
    publisher self = {0};
    int status;
    char *url = NULL;
    char *topic = NULL;
    if (!cli_parse(&self.cli, &program, &self, argc, argv, &status)) return status;
    bool good = cli_server(&self.cli, &url, &topic);
    if (good && self.topic == NULL) self.topic = topic;
    if (good && self.topic == NULL) good = cli_refuse(&self.cli, "say where to publish: -t TOPIC");
    if (good && self.sources != 1) good = cli_refuse(&self.cli, "say what to publish: one of -m, -f, -l, -s and -n");
    status = good ? run_all(&self, url) : CLI_USAGE;
    free(topic);
    free(url);
    return status;
}
