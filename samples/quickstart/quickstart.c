/* The quickstart's main job: publish while the broker is down, connect, drain, receive at QoS 0, 1 and 2, survive a restart.
 * Exit status 0 only if every message arrived as its QoS promises.
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/tern.h>
#include <time.h>

#include "broker.h"

enum { MESSAGES = 10, BACKLOG = 3, TIMEOUT_S = 30 };

/* What both clients' callbacks note and the main program waits for. */
typedef struct story {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct timespec began;
    int connects[2];
    int last_index[3];      /* of the message received last at each QoS: order holds within a QoS */
    int disorder;
    int copies[MESSAGES + 1];
    tern_outcome outcomes[MESSAGES + 1];
    int told;
    int published;
} story;

typedef struct role {
    story *story;
    const char *name;
    int index;
} role;

static double seconds_since(const struct timespec *began)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - began->tv_sec) + (double)(now.tv_nsec - began->tv_nsec) / 1e9;
}

static void say(const story *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(const story *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("%7.3f s  ", seconds_since(&s->began));
    vprintf(format, args);
    printf("\n");
    fflush(stdout);
    va_end(args);
}

static void on_event(tern_client *client, const tern_event *event, void *user_data)
{
    const role *r = user_data;
    (void)client;
    pthread_mutex_lock(&r->story->lock);
    say(r->story, "%s: %s", r->name, tern_event_text(event));
    if (tern_event_get_kind(event) == TERN_EVENT_CONNECTED) r->story->connects[r->index]++;
    pthread_cond_broadcast(&r->story->changed);
    pthread_mutex_unlock(&r->story->lock);
}

static void on_delivery(tern_client *client, const tern_delivery *delivery, void *user_data)
{
    const role *r = user_data;
    (void)client;
    pthread_mutex_lock(&r->story->lock);
    for (uint64_t id = tern_delivery_first_id(delivery); id <= tern_delivery_last_id(delivery); id++) {
        tern_outcome outcome = tern_delivery_outcome(delivery);
        say(r->story, "%s: message %d is %s", r->name, (int)id, tern_outcome_name(outcome));
        if (id <= MESSAGES) r->story->outcomes[id] = outcome;
        r->story->told++;
    }
    pthread_cond_broadcast(&r->story->changed);
    pthread_mutex_unlock(&r->story->lock);
}

static void on_message(tern_client *client, const tern_message *message, void *user_data)
{
    const role *r = user_data;
    story *s = r->story;
    (void)client;
    int index = atoi(tern_message_text(message));
    pthread_mutex_lock(&s->lock);
    say(s, "%s: received message %d on %s at QoS %d", r->name, index, tern_message_topic(message), tern_message_qos(message));
    if (index >= 1 && index <= MESSAGES && s->copies[index]++ == 0) {
        int *last = &s->last_index[tern_message_qos(message)];
        if (index < *last) s->disorder++;
        *last = index;
    }
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* Publishes the next message; its text is its number, its QoS goes round. */
static int publish(story *s, tern_client *client)
{
    int index = ++s->published;
    char text[16];
    uint64_t id = 0;
    int length = snprintf(text, sizeof text, "%d", index);
    uint32_t qos = index <= BACKLOG ? TERN_QOS_1 : (uint32_t)index % 3;
    pthread_mutex_lock(&s->lock);
    say(s, "publisher: message %d at QoS %u into the outbox", index, (unsigned)qos);
    pthread_mutex_unlock(&s->lock);
    int rc = tern_client_publish(client, "quickstart/demo", text, (size_t)length, qos, &id);
    if (rc != 0) fprintf(stderr, "%s\n", tern_client_error_text(client));
    return rc;
}

static int everything_arrived(const story *s)
{
    for (int i = 1; i <= s->published; i++)
        if (s->copies[i] == 0 || s->outcomes[i] == TERN_OUTCOME_PENDING) return 0;
    return 1;
}

static int both_connected(const story *s)
{
    return s->connects[0] > 0 && s->connects[1] > 0;
}

static int both_came_back(const story *s)
{
    return s->connects[0] > 1 && s->connects[1] > 1;
}

/* Waits for something to become true; 0, or -1 when it took too long. */
static int wait_for(story *s, int (*is_true)(const story *), const char *what)
{
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += TIMEOUT_S;
    pthread_mutex_lock(&s->lock);
    int rc = 0;
    while (!is_true(s) && rc == 0) rc = pthread_cond_timedwait(&s->changed, &s->lock, &deadline);
    rc = is_true(s) ? 0 : -1;
    pthread_mutex_unlock(&s->lock);
    if (rc != 0) fprintf(stderr, "gave up waiting: %s\n", what);
    return rc;
}

/* The broker's authority is the only one that is trusted. */
static int trust(tern_connection_options *connection, const broker *b)
{
    char path[512];
    tern_tls_options *tls = NULL;
    snprintf(path, sizeof path, "%s/ca.pem", b->folder);
    int rc = tern_tls_options_new(&tls);
    if (rc == 0) rc = tern_tls_options_add_ca_file(tls, path);
    if (rc == 0) rc = tern_connection_options_set_tls(connection, tls);
    tern_tls_options_free(tls);
    return rc;
}

static tern_client *make_client(role *r, const char *id, const broker *b)
{
    tern_client *client = NULL;
    tern_client_options *options = NULL;
    tern_connection_options *connection = NULL;
    char url[64];
    static const char *const schemes[] = {"mqtt", "mqtts", "wss"};
    snprintf(url, sizeof url, "%s://127.0.0.1:%d", schemes[b->way], b->port);
    int rc = tern_client_options_new(&options);
    if (rc == 0) rc = tern_client_options_set_client_id(options, id);
    if (rc == 0) rc = tern_client_new(&client, options);
    if (rc == 0) rc = tern_client_set_event_handler(client, on_event, r);
    if (rc == 0) rc = tern_client_set_delivery_handler(client, on_delivery, r);
    if (rc == 0) rc = tern_connection_options_new(&connection);
    if (rc == 0 && b->way != WAY_TCP) rc = trust(connection, b);
    if (rc == 0) rc = tern_connection_options_add_server(connection, url);
    if (rc == 0) rc = tern_connection_options_set_retry_delay(connection, 100, 1000, TERN_JITTER_PROPORTIONAL);
    if (rc == 0) rc = tern_client_configure(client, connection);
    if (rc != 0) fprintf(stderr, "%s: %s\n", id, tern_strerror(rc));
    tern_client_options_free(options);
    tern_connection_options_free(connection);
    return client;
}

static int job(story *s, broker *b, tern_client *publisher, tern_client *subscriber)
{
    say(s, "-- the broker is down: %d messages wait in the outbox", BACKLOG);
    for (int i = 0; i < BACKLOG; i++)
        if (publish(s, publisher) != 0) return -1;
    tern_token *subscribed = NULL;
    if (tern_client_subscribe(subscriber, "quickstart/#", TERN_QOS_2, &subscribed) != 0) return -1;
    if (tern_client_connect(subscriber, NULL) != 0) return -1;
    say(s, "-- the broker starts on 127.0.0.1:%d", b->port);
    if (broker_start(b) != 0) return -1;
    int rc = tern_token_wait(subscribed, TIMEOUT_S * 1000);
    tern_token_unref(subscribed);
    if (rc != 0 || tern_client_connect(publisher, NULL) != 0) return -1;
    if (wait_for(s, both_connected, "both clients connect") != 0) return -1;
    if (wait_for(s, everything_arrived, "the backlog drains") != 0) return -1;
    say(s, "-- six more, two of each QoS");
    for (int i = 0; i < 6; i++)
        if (publish(s, publisher) != 0) return -1;
    if (wait_for(s, everything_arrived, "they arrive") != 0) return -1;
    say(s, "-- the broker is stopped, and started again");
    broker_stop(b);
    if (broker_start(b) != 0) return -1;
    if (wait_for(s, both_came_back, "both clients come back") != 0) return -1;
    /* A broker that forgot the session is told of the subscription again; asking once more waits until it knows. */
    if (tern_client_subscribe_wait(subscriber, "quickstart/#", TERN_QOS_2, TIMEOUT_S * 1000) != 0) return -1;
    say(s, "-- a last message");
    if (publish(s, publisher) != 0) return -1;
    return wait_for(s, everything_arrived, "the last message arrives");
}

static int summary(const story *s)
{
    int bad = s->disorder;
    printf("\n%-9s %-4s %-10s %s\n", "message", "QoS", "outcome", "copies received");
    for (int i = 1; i <= s->published; i++) {
        int qos = i <= BACKLOG ? 1 : i % 3;
        int fine = qos == 1 ? s->copies[i] >= 1 : s->copies[i] == 1;
        fine = fine && s->outcomes[i] == (qos == 0 ? TERN_OUTCOME_SENT : TERN_OUTCOME_DELIVERED);
        bad += !fine;
        printf("%-9d %-4d %-10s %d%s\n", i, qos, tern_outcome_name(s->outcomes[i]), s->copies[i], fine ? "" : "   <-- not as promised");
    }
    printf("\nmessages %d, outcomes %d, out of order %d\n", s->published, s->told, s->disorder);
    printf("reconnects: publisher %d, subscriber %d\n", s->connects[0] - 1, s->connects[1] - 1);
    printf("time %.2f s\n", seconds_since(&s->began));
    printf("%s\n", bad == 0 && s->published == MESSAGES ? "every message arrived as its QoS promises"
                                                     : "NOT every message arrived as its QoS promises");
    return bad == 0 && s->published == MESSAGES ? 0 : 1;
}

int main(int argc, char **argv)
{
    const char *asked = argc == 4 ? argv[3] : "";
    enum way way = strcmp(asked, "--tls") == 0 ? WAY_TLS : strcmp(asked, "--wss") == 0 ? WAY_WSS : WAY_TCP;
    if (argc < 3 || argc > 4 || (argc == 4 && way == WAY_TCP)) {
        fprintf(stderr, "usage: %s MOSQUITTO FOLDER [--tls | --wss] (samples/quickstart.sh does all of it)\n", argv[0]);
        return 2;
    }
    static story s;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s.changed, &monotonic);
    pthread_mutex_init(&s.lock, NULL);
    clock_gettime(CLOCK_MONOTONIC, &s.began);
    broker b;
    if (broker_init(&b, argv[1], argv[2], way) != 0) return 1;
    role roles[2] = {{&s, "publisher", 0}, {&s, "subscriber", 1}};
    tern_client *publisher = make_client(&roles[0], "quickstart-publisher", &b);
    tern_client *subscriber = make_client(&roles[1], "quickstart-subscriber", &b);
    int rc = -1;
    if (publisher != NULL && subscriber != NULL &&
        tern_client_set_message_handler(subscriber, on_message, &roles[1]) == 0)
        rc = job(&s, &b, publisher, subscriber);
    if (rc != 0 && publisher != NULL) fprintf(stderr, "publisher: %s\n", tern_client_error_text(publisher));
    if (rc != 0 && subscriber != NULL) fprintf(stderr, "subscriber: %s\n", tern_client_error_text(subscriber));
    tern_client_free(publisher);
    tern_client_free(subscriber);
    broker_stop(&b);
    int status = summary(&s);
    return rc != 0 ? 1 : status;
}
