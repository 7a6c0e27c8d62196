/* A run: a client whose callbacks run on the main thread, with one place to wait.
 * SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/select.h>
#include <time.h>

enum { RETRY_BASE_MS = 250, RETRY_MAXIMUM_MS = 5000, CLOSE_MS = 5000 };

static uint64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void run_end(run *self, int status)
{
    if (!self->over) self->status = status;
    self->over = true;
}

/* ---- signals ---- */

/* Only there to interrupt the wait: the rest is done where the wait returns. */
static void on_signal(int number)
{
    (void)number;
}

/* SIGINT and SIGTERM stay blocked, in the library's threads too, but for the wait itself: none is lost, none comes at
 * a wrong moment. */
static void catch_signals(run *self)
{
    sigset_t ends;
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, &self->awake);
    sigdelset(&self->awake, SIGINT);
    sigdelset(&self->awake, SIGTERM);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* A signal that waits: where input never runs dry, the wait is not interrupted by it. */
static bool signal_waits(void)
{
    sigset_t waiting;
    sigpending(&waiting);
    return sigismember(&waiting, SIGINT) == 1 || sigismember(&waiting, SIGTERM) == 1;
}

/* ---- events ---- */

/* A name that does not exist will not appear while we wait; once we were connected it is the network that is gone. */
static bool is_hopeless(const run *self, const tern_event *event)
{
    return tern_event_step(event) == TERN_STEP_RESOLVE && !self->connected_once;
}

/* What happened, and below it what to do about it. */
static void tell_failure(const run *self, const tern_event *event)
{
    const char *hint = tern_event_hint(event);
    cli_tell(self->cli, "%s", tern_event_text(event));
    if (hint != NULL) cli_tell(self->cli, "  %s", hint);
}

static void on_event(tern_client *client, const tern_event *event, void *user_data)
{
    run *self = user_data;
    (void)client;
    if (self->over) return;
    switch (tern_event_get_kind(event)) {
    case TERN_EVENT_CONNECTED: self->connected_once = true; break;
    case TERN_EVENT_CONNECT_FAILED:
    case TERN_EVENT_DISCONNECTED:
        if (tern_event_retry_delay(event) < 0) break; /* STOPPED says the same */
        tell_failure(self, event);
        if (is_hopeless(self, event)) run_end(self, CLI_FAILED);
        break;
    case TERN_EVENT_STOPPED:
        tell_failure(self, event);
        run_end(self, CLI_FAILED);
        break;
    default: break;
    }
}

static void on_log(tern_log_level level, const char *text, void *user_data)
{
    const cli *options = user_data;
    (void)level;
    fprintf(stderr, "%s: %s\n", options->program, text);
}

/* ---- making ---- */

static int make_client(run *self, const run_options *own)
{
    tern_client_options *options;
    int rc = tern_client_options_new(&options);
    if (rc != 0) return rc;
    rc = tern_client_options_set_dispatch(options, TERN_DISPATCH_MANUAL);
    if (rc == 0) rc = tern_client_options_set_ack(options, own->ack);
    if (rc == 0) rc = tern_client_options_set_outbox_policy(options, TERN_OUTBOX_BLOCK, own->block_ms);
    if (rc == 0 && own->outbox_bytes != 0)
        rc = tern_client_options_set_outbox_limits(options, own->outbox_bytes, own->outbox_messages);
    if (rc == 0 && self->cli->id != NULL) rc = tern_client_options_set_client_id(options, self->cli->id);
    if (rc == 0 && self->cli->debug)
        rc = tern_client_options_set_log(options, TERN_LOG_TRACE, on_log, (void *)(uintptr_t)self->cli);
    if (rc == 0) rc = tern_client_new(&self->client, options);
    tern_client_options_free(options);
    return rc;
}

static int configure(run *self, const char *url)
{
    const cli *from = self->cli;
    const char *part = NULL;
    tern_connection_options *to;
    int rc = tern_connection_options_new(&to);
    if (rc != 0) return rc;
    size_t password_length = from->password != NULL ? strlen(from->password) : 0;
    rc = tern_connection_options_add_server(to, url);
    if (rc == 0) rc = tern_connection_options_set_version(to, from->version);
    if (rc == 0) rc = tern_connection_options_set_keep_alive(to, from->keep_alive);
    if (rc == 0 && (from->user != NULL || from->password != NULL))
        rc = tern_connection_options_set_credentials(to, from->user, from->password, password_length);
    if (rc == 0 && from->persistent)
        rc = tern_connection_options_set_session(to, TERN_SESSION_PERSISTENT, UINT32_MAX);
    if (rc == 0)
        rc = tern_connection_options_set_retry_delay(to, RETRY_BASE_MS, RETRY_MAXIMUM_MS,
                                                     TERN_JITTER_PROPORTIONAL);
    if (rc == 0) {
        rc = way_apply(&from->way, to, &part);
        if (rc != 0) cli_tell(from, "%s: %s", part, tern_strerror(rc));
    }
    if (rc == 0) rc = tern_client_configure(self->client, to);
    tern_connection_options_free(to);
    return rc;
}

static bool fail(run *self, int rc)
{
    const char *text = self->client != NULL ? tern_client_error_text(self->client) : "";
    cli_tell(self->cli, "%s", text[0] != '\0' ? text : tern_strerror(rc));
    run_end(self, tern_error_class_of(rc) == TERN_CLASS_USAGE ? CLI_USAGE : CLI_FAILED);
    return false;
}

bool run_open(run *self, const cli *options, const char *url, const run_options *own)
{
    *self = (run){.cli = options, .dispatch_fd = -1, .deadline_ms = UINT64_MAX};
    if (options->patience_s != 0) self->deadline_ms = clock_ms() + options->patience_s * UINT64_C(1000);
    catch_signals(self);
    int rc = make_client(self, own);
    if (rc == 0) rc = tern_client_set_event_handler(self->client, on_event, self);
    if (rc == 0) rc = configure(self, url);
    if (rc == 0) rc = tern_client_dispatch_fd(self->client, &self->dispatch_fd);
    return rc == 0 || fail(self, rc);
}

bool run_connect(run *self)
{
    int rc = tern_client_connect(self->client, NULL);
    return rc == 0 || fail(self, rc);
}

/* ---- waiting ---- */

/* Until when the wait lasts; NULL: for ever. */
static const struct timespec *time_left(const run *self, struct timespec *left)
{
    if (self->deadline_ms == UINT64_MAX) return NULL;
    uint64_t now = clock_ms();
    uint64_t ms = now < self->deadline_ms ? self->deadline_ms - now : 0;
    left->tv_sec = (time_t)(ms / 1000);
    left->tv_nsec = (long)(ms % 1000) * 1000000;
    return left;
}

static void dispatch(run *self)
{
    int rc = tern_client_dispatch(self->client, 0);
    if (rc != 0 && rc != TERN_E_TIMEOUT) (void)fail(self, rc);
}

static bool wait_up_to(run *self, int input, bool *readable, const struct timespec *timeout)
{
    fd_set ready;
    *readable = false;
    if (self->over) return false;
    FD_ZERO(&ready);
    FD_SET(self->dispatch_fd, &ready);
    if (input >= 0) FD_SET(input, &ready);
    int highest = input > self->dispatch_fd ? input : self->dispatch_fd;
    int count = pselect(highest + 1, &ready, NULL, NULL, timeout, &self->awake);
    if (signal_waits() || (count < 0 && errno == EINTR)) {
        run_end(self, CLI_OK);
    } else if (count < 0) {
        cli_tell(self->cli, "cannot wait: %s", strerror(errno));
        run_end(self, CLI_FAILED);
    } else if (FD_ISSET(self->dispatch_fd, &ready)) {
        dispatch(self);
    }
    if (!self->over && self->deadline_ms <= clock_ms()) run_end(self, CLI_TIMEOUT);
    *readable = !self->over && input >= 0 && FD_ISSET(input, &ready);
    return !self->over;
}

bool run_wait(run *self, int input, bool *readable)
{
    struct timespec left;
    return wait_up_to(self, input, readable, time_left(self, &left));
}

bool run_poll(run *self)
{
    static const struct timespec at_once = {0, 0};
    bool readable;
    return wait_up_to(self, -1, &readable, &at_once);
}

int run_close(run *self)
{
    if (self->client == NULL) return self->status;
    self->over = true;
    if (self->status == CLI_OK) (void)tern_client_close_wait(self->client, CLOSE_MS);
    tern_client_free(self->client); /* what is left has its outcome first */
    self->client = NULL;
    return self->status;
}
