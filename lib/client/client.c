/* The client: its life, its connection's controls, and what is said of it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "client/client.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "client/attempt.h"
#include "client/link.h"
#include "client/loop.h"
#include "codec/reason.h"
#include "platform/clock.h"

/* ---- references ---- */

tern_client *tern__client_ref(tern_client *client)
{
    atomic_fetch_add_explicit(&client->refs, 1, memory_order_relaxed);
    return client;
}

void tern__client_unref(tern_client *client)
{
    if (atomic_fetch_sub_explicit(&client->refs, 1, memory_order_acq_rel) != 1) return;
    if (!tern__client_forked(client)) {
        tern__cond_deinit(&client->quiet_cond);
        tern__cond_deinit(&client->room);
        tern__mutex_deinit(&client->lock);
        if (client->own_dispatcher != NULL) tern__dispatcher_deinit(client->own_dispatcher);
    }
    tern__free(client->own_dispatcher);
    tern__free(client->notes);
    tern__free(client->assigned_id);
    tern__free(client->options.client_id);
    tern__transforms_unref(&client->options.transforms);
    tern__free(client);
}

/* Everything but the shell, which tokens may still hold. */
static void gut(tern_client *client)
{
    tern__mailbox_deinit(&client->mailbox);
    tern__attempt_drop_answers(&client->commands);
    tern__link_deinit(&client->link);
    tern__engine_free(client->engine);
    tern__buf_deinit(&client->acks);
    tern_connection_options_free(client->pending);
}

/* ---- making ---- */

static int make_engine(tern_client *client)
{
    const tern_client_options *options = &client->options;
    tern__engine_config config = {
        .client_id = options->client_id,
        .outbox_bytes = options->outbox_bytes,
        .outbox_messages = options->outbox_messages,
        .policy = options->policy,
        .drain_interval_us = options->drain_interval_us,
        .filters_per_subscribe = options->filters_per_subscribe,
        .inflight_maximum = options->inflight_maximum,
        .receive_maximum = options->receive_maximum,
        .topic_alias_maximum = options->topic_alias_maximum,
        .maximum_packet_size = options->maximum_packet_size,
        .manual_ack = options->ack == TERN_ACK_MANUAL,
        .pool = client->loop->pool,
    };
    int rc = tern__engine_new(&client->engine, &config);
    if (rc == 0) client->outbox = tern__engine_outbox(client->engine);
    return rc;
}

static int make_mailbox(tern_client *client)
{
    tern__dispatcher *dispatcher = NULL;
    if (client->options.dispatch == TERN_DISPATCH_THREAD) {
        dispatcher = tern__loop_dispatcher(client->loop);
    } else {
        dispatcher = tern__malloc(sizeof *dispatcher);
        if (dispatcher == NULL) return TERN_E_NOMEM;
        int rc = tern__dispatcher_init(dispatcher, false);
        if (rc != 0) {
            tern__free(dispatcher);
            return rc;
        }
        client->own_dispatcher = dispatcher;
    }
    return tern__mailbox_init(&client->mailbox, client, dispatcher);
}

static int init_sync(tern_client *client)
{
    int rc = tern__mutex_init(&client->lock);
    if (rc != 0) return rc;
    rc = tern__cond_init(&client->room);
    if (rc == 0) {
        rc = tern__cond_init(&client->quiet_cond);
        if (rc != 0) tern__cond_deinit(&client->room);
    }
    if (rc != 0) tern__mutex_deinit(&client->lock);
    return rc;
}

/* The shell: what a client needs before anything can fail in an orderly way. */
static int make_shell(tern_client **client, const tern_client_options *options)
{
    tern_client *made = tern__calloc(1, sizeof *made);
    if (made == NULL) return TERN_E_NOMEM;
    if (options != NULL) {
        made->options = *options;
    } else {
        tern__client_options_init(&made->options);
    }
    made->options.client_id = tern__strdup(options != NULL ? options->client_id : "");
    int rc = made->options.client_id != NULL ? init_sync(made) : TERN_E_NOMEM;
    if (rc != 0) {
        tern__free(made->options.client_id);
        tern__free(made);
        return rc;
    }
    tern__transforms_ref(&made->options.transforms);
    made->generation = tern__fork_generation();
    atomic_init(&made->refs, 2); /* the handle's, and the library's until all is quiet */
    made->log = made->options.log;
    tern__list_init(&made->commands);
    tern__timers_init(&made->timers);
    tern__list_init(&made->ready_link);
    tern__list_init(&made->closers);
    tern__list_init(&made->close_command.link);
    made->close_command.kind = TERN__COMMAND_CLOSE;
    tern__link_init(&made->link);
    *client = made;
    return 0;
}

int tern_client_new(tern_client **client, const tern_client_options *options)
{
    if (client == NULL) return TERN_E_INVALID;
    *client = NULL;
    tern_client *made = NULL;
    if (options != NULL && options->loop != NULL && tern__loop_forked(options->loop)) return TERN_E_FORKED;
    int rc = make_shell(&made, options);
    if (rc != 0) return rc;
    if (made->options.loop != NULL) {
        made->loop = tern__loop_ref(made->options.loop);
    } else {
        rc = tern__loop_new(&made->loop, made->options.dispatch == TERN_DISPATCH_THREAD ? 1 : 0, TERN_POLLER_DEFAULT);
    }
    if (rc == 0) rc = make_engine(made);
    if (rc == 0) rc = make_mailbox(made);
    if (rc != 0) {
        /* The mailbox is made last: where it is not there, neither is what gut() expects of it. */
        tern__engine_free(made->engine);
        tern_loop_free(made->loop);
        tern__client_unref(made);
        tern__client_unref(made);
        return rc;
    }
    *client = made;
    return 0;
}

/* ---- commands ---- */

int tern__client_command(tern_client *client, tern__command *command)
{
    tern__mutex_lock(&client->lock);
    bool closing = client->closing;
    /* With the place in the queue, so that the ids of waiting flushes never fall. */
    if (command->kind == TERN__COMMAND_FLUSH) command->token->flush_id = tern__outbox_last_id_locked(client->outbox);
    if (!closing) tern__list_append(&client->commands, &command->link);
    tern__mutex_unlock(&client->lock);
    if (closing) return TERN_E_CLOSED;
    tern__client_schedule(client, true);
    return 0;
}

/* Whether CONNECT can be told. Properties alone have no bound of their own; the rest of it is five texts and little more. */
static bool connect_fits(const tern_connection_options *options)
{
    enum { PACKET_MAX = 268435455, REST = 5 * (2 + UINT16_MAX) + 64 };
    size_t props = options->user_properties.len + options->will_props.len;
    return options->version == TERN_VERSION_311 || props <= PACKET_MAX - REST;
}

int tern_client_configure(tern_client *client, const tern_connection_options *options)
{
    int rc = tern__client_check(client);
    if (rc == 0 && options == NULL) rc = TERN_E_INVALID;
    if (rc != 0) return rc;
    if (options->server_count == 0)
        return tern__client_fail(client, TERN_E_INVALID, "configure: no server was added");
    if (options->session == TERN_SESSION_PERSISTENT && client->options.client_id[0] == '\0')
        return tern__client_fail(client, TERN_E_INVALID,
                                 "configure: a persistent session needs a client id");
    if (options->version == TERN_VERSION_311 && options->has_password && !options->has_user_name)
        return tern__client_fail(client, TERN_E_INVALID,
                                 "configure: MQTT 3.1.1 has no password without a user name");
    if (!connect_fits(options))
        return tern__client_fail(client, TERN_E_TOO_LARGE,
                                 "configure: with these properties CONNECT is larger than an MQTT packet can be");
    tern_connection_options *copy;
    rc = tern__connection_options_clone(options, &copy);
    if (rc != 0) return tern__client_fail(client, rc, "configure: %s", tern_strerror(rc));
    tern__mutex_lock(&client->lock);
    tern_connection_options *old = client->pending;
    if (client->closing) {
        rc = TERN_E_CLOSED;
        old = copy;
    } else {
        client->pending = copy;
        client->configured = true;
    }
    tern__mutex_unlock(&client->lock);
    tern_connection_options_free(old);
    return rc;
}

int tern_client_configure_url(tern_client *client, const char *url)
{
    int rc = tern__client_check(client);
    if (rc != 0) return rc;
    char why[256];
    rc = tern_url_error(url, why, sizeof why);
    if (rc != 0) return tern__client_fail(client, rc, "%s", why);
    tern_connection_options *options;
    rc = tern_connection_options_new(&options);
    if (rc != 0) return rc;
    rc = tern_connection_options_add_server(options, url);
    if (rc == 0) rc = tern_client_configure(client, options);
    tern_connection_options_free(options);
    return rc;
}

/* A token for a command, where the caller wants one. */
static int token_for(tern_client *client, tern__command *command, tern_token **token)
{
    return token != NULL ? tern__token_new(client, &command->token) : 0;
}

/* Sends a command off; on failure its token and itself are gone. */
static int send_command(tern_client *client, tern__command *command, tern_token **token)
{
    tern_token *made = command->token;
    int rc = tern__client_command(client, command);
    if (rc != 0) {
        tern_token_unref(made);
        tern_token_unref(made);
        tern__command_free(command);
        return rc;
    }
    if (token != NULL) *token = made;
    return 0;
}

int tern_client_connect(tern_client *client, tern_token **token)
{
    if (token != NULL) *token = NULL;
    int rc = tern__client_check(client);
    if (rc != 0) return rc;
    tern__command *command = tern__command_new(TERN__COMMAND_CONNECT);
    if (command == NULL) return TERN_E_NOMEM;
    rc = token_for(client, command, token);
    tern__mutex_lock(&client->lock);
    if (rc == 0 && client->closing) rc = TERN_E_CLOSED;
    if (rc == 0 && !client->configured) rc = TERN_E_NOT_CONNECTED;
    if (rc == 0 && client->connecting) rc = TERN_E_STATE;
    if (rc == 0) client->connecting = true;
    if (rc == 0) client->link_failed = false; /* what failed before is history */
    tern__mutex_unlock(&client->lock);
    if (rc == 0) return send_command(client, command, token);
    tern_token_unref(command->token);
    tern_token_unref(command->token);
    tern__command_free(command);
    return tern__client_fail(client, rc, "connect: %s",
                             rc == TERN_E_NOT_CONNECTED ? "the client was never configured with a server"
                             : rc == TERN_E_STATE       ? "connecting or connected already"
                                                        : tern_strerror(rc));
}

int tern_client_retry(tern_client *client)
{
    int rc = tern__client_check(client);
    if (rc != 0) return rc;
    tern__command *command = tern__command_new(TERN__COMMAND_RETRY);
    return command != NULL ? send_command(client, command, NULL) : TERN_E_NOMEM;
}

int tern_client_reconnect(tern_client *client, uint32_t quiesce_ms, tern_token **token)
{
    if (token != NULL) *token = NULL;
    int rc = tern__client_check(client);
    if (rc != 0) return rc;
    tern__mutex_lock(&client->lock);
    if (!client->connecting) rc = client->configured ? TERN_E_STATE : TERN_E_NOT_CONNECTED;
    if (client->closing) rc = TERN_E_CLOSED;
    tern__mutex_unlock(&client->lock);
    if (rc != 0)
        return tern__client_fail(client, rc, "reconnect: %s",
                                 rc == TERN_E_STATE ? "the client is not connecting: connect instead" : tern_strerror(rc));
    tern__command *command = tern__command_new(TERN__COMMAND_RECONNECT);
    if (command == NULL) return TERN_E_NOMEM;
    command->deadline = tern__clock_us() + (uint64_t)quiesce_ms * 1000;
    rc = token_for(client, command, token);
    if (rc == 0) return send_command(client, command, token);
    tern__command_free(command);
    return rc;
}

int tern_client_disconnect(tern_client *client, int reason_code, tern_token **token)
{
    if (token != NULL) *token = NULL;
    int rc = tern__client_check(client);
    if (rc != 0) return rc;
    if (reason_code < 0 || reason_code > 0xFF || !tern__reason_legal((uint8_t)reason_code, TERN__DISCONNECT, TERN__FROM_CLIENT))
        return tern__client_fail(client, TERN_E_INVALID,
                                 "disconnect: a client may not disconnect with reason code %d", reason_code);
    tern__command *command = tern__command_new(TERN__COMMAND_DISCONNECT);
    if (command == NULL) return TERN_E_NOMEM;
    command->reason = reason_code;
    rc = token_for(client, command, token);
    if (rc != 0) {
        tern__command_free(command);
        return rc;
    }
    return send_command(client, command, token);
}

int tern_client_flush(tern_client *client, tern_token **token)
{
    if (token == NULL) return TERN_E_INVALID;
    *token = NULL;
    int rc = tern__client_check(client);
    if (rc != 0) return rc;
    tern__command *command = tern__command_new(TERN__COMMAND_FLUSH);
    if (command == NULL) return TERN_E_NOMEM;
    rc = token_for(client, command, token);
    if (rc != 0) {
        tern__command_free(command);
        return rc;
    }
    return send_command(client, command, token);
}

/* ---- closing ---- */

int tern_client_close(tern_client *client, int drain, uint32_t timeout_ms, tern_token **token)
{
    if (token != NULL) *token = NULL;
    tern_token *made = NULL;
    int rc = tern__client_check(client);
    if (rc == 0 && token != NULL) rc = tern__token_new(client, &made);
    if (rc != 0) return rc;
    if (made != NULL) made->of_close = true;
    tern__mutex_lock(&client->lock);
    bool closing = client->closing; /* of two closers at once the second finds it set */
    bool joins = closing && made != NULL && !client->closed;
    if (joins) tern__list_append(&client->closers, &made->link);
    if (!closing) {
        client->closing = true;
        client->close_command.token = made;
        client->close_command.drain = drain != 0;
        client->close_command.deadline = tern__clock_us() + (uint64_t)timeout_ms * 1000;
        tern__list_append(&client->commands, &client->close_command.link);
        tern__cond_broadcast(&client->room);
    }
    tern__mutex_unlock(&client->lock);
    if (closing && !joins) {
        tern_token_unref(made);
        tern_token_unref(made);
        return TERN_E_CLOSED;
    }
    if (token != NULL) *token = made;
    if (!joins) tern__client_schedule(client, true);
    return 0;
}

/* Lets go of all but the shell, and of the handle. */
static void release(tern_client *client)
{
    tern_loop *loop = client->loop;
    tern__mutex_lock(&client->lock);
    client->released = true;
    tern__mutex_unlock(&client->lock);
    gut(client);
    tern_loop_free(loop);
    tern__client_unref(client);
}

void tern__client_quiet(tern_client *client, tern_token *close_token)
{
    tern__list joined;
    tern__list_init(&joined);
    tern__mutex_lock(&client->lock);
    client->closed = true; /* before anybody is told */
    tern__list_splice(&joined, &client->closers);
    tern__mutex_unlock(&client->lock);
    tern__token_finish_close(close_token);
    tern__list *link;
    while ((link = tern__list_shift(&joined)) != NULL) tern__token_finish_close(TERN__CONTAINER(link, tern_token, link));
    tern__mutex_lock(&client->lock);
    client->quiet = true;
    bool free_now = client->free_when_quiet;
    tern__cond_broadcast(&client->quiet_cond);
    tern__mutex_unlock(&client->lock);
    if (free_now) release(client);
    tern__client_unref(client);
}

static void wait_quiet(tern_client *client)
{
    enum { SLICE_US = 100000 };
    bool elsewhere = client->own_dispatcher == NULL; /* others run the last callbacks */
    tern__mutex_lock(&client->lock);
    while (!client->quiet) {
        uint64_t slice = tern__clock_us() + SLICE_US;
        if (elsewhere) (void)tern__cond_wait_until(&client->quiet_cond, &client->lock, slice);
        if (client->own_dispatcher == NULL || client->quiet) continue;
        tern__mutex_unlock(&client->lock);
        elsewhere = tern__dispatcher_run_manual(client->own_dispatcher, &client->mailbox, slice) == TERN_E_STATE;
        tern__mutex_lock(&client->lock);
    }
    tern__mutex_unlock(&client->lock);
}

/* In a child of fork(): no thread is left that would finish what it was doing, so what several threads use cannot be taken apart.
 * The shell goes; engine and mailbox stay, shared with the parent until something writes to them; descriptors are not touched,
 * since an epoll set is the parent's too. [C15] */
static void abandon(tern_client *client)
{
    tern_loop *loop = client->released ? NULL : client->loop;
    bool quiet = client->quiet;
    tern__client_unref(client);
    if (!quiet) tern__client_unref(client); /* what its threads held */
    tern_loop_free(loop);
}

void tern_client_free(tern_client *client)
{
    if (client == NULL) return;
    if (tern__client_forked(client)) {
        abandon(client);
        return;
    }
    (void)tern_client_close(client, 0, 0, NULL); /* answers CLOSED where that was done */
    if (tern__dispatcher_is_self(client->mailbox.dispatcher)) {
        tern__mutex_lock(&client->lock);
        bool quiet = client->quiet;
        client->free_when_quiet = true;
        tern__mutex_unlock(&client->lock);
        if (quiet) release(client);
        return;
    }
    wait_quiet(client);
    release(client);
}

/* ---- waiting ---- */

bool tern__client_about_to_wait(tern_client *client, tern_token *token)
{
    bool callback = false;
    tern__mutex_lock(&client->lock);
    if (!client->released) {
        callback = tern__dispatcher_is_self(client->mailbox.dispatcher);
        if (callback) client->callback_waiter = token;
        tern__loop_wake(client->loop, true);
    }
    tern__mutex_unlock(&client->lock);
    return callback;
}

void tern__client_done_waiting(tern_client *client)
{
    tern__mutex_lock(&client->lock);
    client->callback_waiter = NULL;
    tern__mutex_unlock(&client->lock);
}

bool tern__client_paused(tern_client *client)
{
    return atomic_load(&client->reading_paused);
}

bool tern__client_stalls(tern_client *client)
{
    return tern__client_paused(client) || atomic_load(&client->asking);
}

void tern__client_nudge(tern_client *client)
{
    tern__mutex_lock(&client->lock);
    if (client->callback_waiter != NULL) tern__token_nudge(client->callback_waiter);
    tern__cond_broadcast(&client->room);
    tern__mutex_unlock(&client->lock);
}

int tern_client_in_callback(tern_client *client)
{
    return tern__client_check(client) == 0 && tern__dispatcher_is_self(client->mailbox.dispatcher);
}

/* ---- dispatching by hand ---- */

int tern_client_dispatch(tern_client *client, uint32_t timeout_ms)
{
    int rc = tern__client_check(client);
    if (rc != 0) return rc;
    if (client->own_dispatcher == NULL) return TERN_E_STATE;
    tern__client_ref(client); /* a callback may free the client */
    uint64_t deadline = tern__clock_us() + (uint64_t)timeout_ms * 1000;
    rc = tern__dispatcher_run_manual(client->own_dispatcher, &client->mailbox, deadline);
    tern__mutex_lock(&client->lock);
    bool freed = rc == 0 && client->free_when_quiet;
    tern__mutex_unlock(&client->lock);
    if (freed) wait_quiet(client); /* nobody has the handle any more who would dispatch the rest */
    tern__client_unref(client);
    return rc;
}

int tern_client_dispatch_fd(tern_client *client, int *descriptor)
{
    if (descriptor == NULL) return TERN_E_INVALID;
    *descriptor = -1;
    int rc = tern__client_check(client);
    if (rc != 0) return rc;
    if (client->own_dispatcher == NULL) return TERN_E_STATE;
    *descriptor = client->own_dispatcher->wake.read_fd;
    return 0;
}

/* ---- what is said of it ---- */

int tern_client_connected(tern_client *client)
{
    return tern__client_check(client) == 0 && atomic_load(&client->connected);
}

int tern_client_limit(tern_client *client, tern_limit limit, int64_t *value)
{
    if (value != NULL) *value = -1;
    int rc = tern__client_check(client);
    if (rc == 0 && value == NULL) rc = TERN_E_INVALID;
    if (rc != 0) return rc;
    tern__mutex_lock(&client->lock);
    if (client->has_limits) *value = tern__limit_value(&client->limits, limit);
    else rc = TERN_E_NOT_CONNECTED;
    tern__mutex_unlock(&client->lock);
    return rc;
}

int tern_client_oldest_open(tern_client *client, uint64_t *id)
{
    if (id != NULL) *id = 0;
    int rc = tern__client_check(client);
    if (rc == 0 && id == NULL) rc = TERN_E_INVALID;
    if (rc != 0) return rc;
    tern__mutex_lock(&client->lock);
    bool first = !client->tells_oldest;
    client->tells_oldest = true; /* nobody pays for it who does not ask */
    *id = first ? 1 : client->oldest;
    if (first) client->oldest = 1;
    tern__mutex_unlock(&client->lock);
    if (first) tern__client_schedule(client, false);
    return 0;
}

int tern_client_id(tern_client *client, char *buffer, size_t size)
{
    if (buffer == NULL || size == 0) return TERN_E_INVALID;
    buffer[0] = '\0';
    int rc = tern__client_check(client);
    if (rc != 0) return rc;
    tern__mutex_lock(&client->lock);
    bool own = client->options.client_id[0] != '\0';
    const char *id = own ? client->options.client_id : client->assigned_id != NULL ? client->assigned_id : "";
    rc = strlen(id) < size ? 0 : TERN_E_TOO_LARGE;
    if (rc == 0) memcpy(buffer, id, strlen(id) + 1);
    tern__mutex_unlock(&client->lock);
    return rc;
}

static void note_locked(tern_client *client, int error, const char *text)
{
    if (client->notes == NULL) client->notes = tern__calloc(TERN__NOTES, sizeof *client->notes);
    client->last_error = error;
    client->link_failed = false;
    if (client->notes == NULL) return;
    unsigned next = atomic_load_explicit(&client->last_note, memory_order_relaxed);
    char *place = client->notes[next % TERN__NOTES].text;
    snprintf(place, sizeof client->notes[0].text, "%s", text);
    tern__log_clean(place);
    atomic_store_explicit(&client->last_note, next + 1, memory_order_release);
}

int tern__client_fail(tern_client *client, int error, const char *format, ...)
{
    char text[sizeof client->notes[0].text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tern__mutex_lock(&client->lock);
    note_locked(client, error, text);
    tern__mutex_unlock(&client->lock);
    return error;
}

void tern__client_link_failed(tern_client *client, int error, const char *text)
{
    tern__mutex_lock(&client->lock);
    note_locked(client, error, text);
    client->link_failed = true;
    tern__mutex_unlock(&client->lock);
}

int tern__client_wait_failed(tern_client *client, int error, uint32_t timeout_ms)
{
    bool connected = atomic_load(&client->connected);
    const char *more = !connected                    ? ", and the client is not connected"
                       : tern__client_paused(client) ? ", and nothing is read while received messages wait to be taken"
                                                     : "";
    char text[sizeof client->notes[0].text];
    if (error == TERN_E_TIMEOUT) {
        snprintf(text, sizeof text, "the deadline of %lu ms passed%s", (unsigned long)timeout_ms, more);
    } else {
        snprintf(text, sizeof text, "%s", tern_strerror(error));
    }
    tern__mutex_lock(&client->lock);
    if (connected || !client->link_failed || error != TERN_E_TIMEOUT) note_locked(client, error, text);
    tern__mutex_unlock(&client->lock);
    return error;
}

static const char *last_text_locked(const tern_client *client)
{
    unsigned count = atomic_load_explicit(&client->last_note, memory_order_acquire);
    if (count != 0) return client->notes[(count - 1) % TERN__NOTES].text;
    return client->last_error != 0 ? tern_strerror(client->last_error) : "";
}

const char *tern_client_error_text(tern_client *client)
{
    if (client == NULL) return "there is no client: out of memory, or an invalid argument";
    if (tern__client_forked(client)) return tern_strerror(TERN_E_FORKED);
    tern__mutex_lock(&client->lock);
    const char *text = last_text_locked(client);
    tern__mutex_unlock(&client->lock);
    return text;
}

int tern_client_copy_error_text(tern_client *client, char *buffer, size_t size)
{
    int rc = tern__client_check(client);
    if (rc != 0) {
        if (buffer != NULL && size != 0) snprintf(buffer, size, "%s", tern_client_error_text(client));
        return rc;
    }
    tern__mutex_lock(&client->lock);
    if (buffer != NULL && size != 0) snprintf(buffer, size, "%s", last_text_locked(client));
    int error = client->last_error;
    tern__mutex_unlock(&client->lock);
    return error;
}
