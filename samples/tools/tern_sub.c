/* tern-sub: subscribes to topics and prints what comes.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"

enum { MAX_TOPICS = 256 };

typedef struct subscriber {
    cli cli;
    run run;
    const char *topics[MAX_TOPICS];
    size_t topic_count;
    unsigned long wanted; /* -C; 0 = no end */
    unsigned long printed;
    bool with_topic;
    bool no_newline;
} subscriber;

static bool take(void *owner, int letter, const char *value)
{
    subscriber *self = owner;
    switch (letter) {
    case 't':
        if (self->topic_count == MAX_TOPICS)
            return cli_refuse(&self->cli, "at most %d topics", MAX_TOPICS);
        self->topics[self->topic_count++] = value;
        return true;
    case 'C': return cli_number(&self->cli, "-C", value, 1, 4000000000ul, &self->wanted);
    case 'v': self->with_topic = true; return true;
    default: self->no_newline = true; return true;
    }
}

static const cli_option options[] = {
    {'t', "topic", "FILTER", "what to subscribe to, + and # allowed; may be given several times"},
    {'C', NULL, "COUNT", "end after so many messages"},
    {'v', "verbose", NULL, "print the topic before each message"},
    {'N', NULL, NULL, "print no newline after each message"},
    {0, NULL, NULL, NULL},
};

static const cli_program program = {
    .name = "tern-sub",
    .purpose = "Subscribes to MQTT topics and prints the messages that come, one a line.",
    .usage = "[options] -t FILTER [-t FILTER...] [URL]",
    .epilogue = "URL is mqtt://[user[:password]@]host[:port] or unix:///path. While the broker is away\n"
                "tern-sub goes on trying, and subscribes again where the broker has lost the session.\n"
                "A message is acknowledged after it was printed.\n\n"
                "Exit status: 0 ended by -C or by SIGINT or SIGTERM, 1 wrong usage, 2 the broker cannot be\n"
                "used or refused a subscription, or the output could not be written, 27 -W passed first.\n",
    .options = options,
    .take = take,
};

/* Payloads are any bytes, so they are written by length. */
static bool print(const subscriber *self, const tern_message *message)
{
    size_t length = tern_message_payload_length(message);
    if (self->with_topic) {
        fwrite(tern_message_topic(message), 1, tern_message_topic_length(message), stdout);
        fputc(' ', stdout);
    }
    fwrite(tern_message_payload(message), 1, length, stdout);
    if (!self->no_newline) fputc('\n', stdout);
    return fflush(stdout) == 0 && !ferror(stdout);
}

/* What is not printed is not acknowledged: a kept session delivers it next time. */
static void on_message(tern_client *client, const tern_message *message, void *user_data)
{
    subscriber *self = user_data;
    if (self->run.over) return;
    if (!print(self, message)) {
        cli_tell(&self->cli, "cannot write: %s", strerror(errno));
        run_end(&self->run, CLI_FAILED);
        return;
    }
    (void)tern_client_ack(client, message); /* stale: the broker sends it again */
    if (++self->printed == self->wanted) run_end(&self->run, CLI_OK);
}

static void on_subscribed(tern_token *token, void *user_data)
{
    subscriber *self = user_data;
    if (tern_token_error(token) == 0 || self->run.over) return;
    cli_tell(&self->cli, "cannot subscribe: %s", tern_token_error_text(token));
    run_end(&self->run, CLI_FAILED);
}

/* All filters in one request; false where one of them is no filter. */
static bool fill(const subscriber *self, tern_subscription *subscription)
{
    for (size_t i = 0; i < self->topic_count; i++) {
        int rc = tern_subscription_add(subscription, self->topics[i], self->cli.qos);
        if (rc != 0)
            return cli_refuse(&self->cli, "cannot subscribe to '%s': %s", self->topics[i], tern_strerror(rc));
    }
    return true;
}

static int subscribe(subscriber *self, const tern_subscription *subscription)
{
    tern_token *token = NULL;
    int rc = tern_client_set_message_handler(self->run.client, on_message, self);
    if (rc == 0) rc = tern_client_subscribe_all(self->run.client, subscription, &token);
    if (rc == 0) rc = tern_token_set_callback(token, on_subscribed, self);
    tern_token_unref(token);
    if (rc != 0) cli_tell(&self->cli, "cannot subscribe: %s", tern_client_error_text(self->run.client));
    if (rc != 0) run_end(&self->run, CLI_FAILED);
    return rc;
}

static int subscribe_and_print(subscriber *self, const char *url, const tern_subscription *subscription)
{
    static const run_options own = {.ack = TERN_ACK_MANUAL};
    bool readable;
    if (run_open(&self->run, &self->cli, url, &own) && subscribe(self, subscription) == 0 &&
        run_connect(&self->run)) {
        while (run_wait(&self->run, -1, &readable)) continue;
    }
    return run_close(&self->run);
}

int main(int argc, char **argv)
{
    subscriber self = {0};
    int status;
    char *url = NULL;
    char *topic = NULL;
    tern_subscription *subscription = NULL;
    if (!cli_parse(&self.cli, &program, &self, argc, argv, &status)) return status;
    status = CLI_USAGE;
    bool good = cli_server(&self.cli, &url, &topic);
    if (good && topic != NULL && self.topic_count < MAX_TOPICS) self.topics[self.topic_count++] = topic;
    if (good && self.topic_count == 0) good = cli_refuse(&self.cli, "say what to subscribe to: -t FILTER");
    if (good && tern_subscription_new(&subscription) != 0) good = cli_refuse(&self.cli, "out of memory");
    if (good && fill(&self, subscription)) status = subscribe_and_print(&self, url, subscription);
    tern_subscription_free(subscription);
    free(topic);
    free(url);
    return status;
}
