/* The blocking facade: each call is an asynchronous one and a wait for its token.
 * SPDX-License-Identifier: Apache-2.0 */
#include <tern/blocking.h>
#include <tern/token.h>
#include <time.h>

/* Waits for a token and lets it go. */
static int await(tern_token *token, uint32_t timeout_ms)
{
    int rc = tern_token_wait(token, timeout_ms);
    tern_token_unref(token);
    return rc;
}

/* Milliseconds of a clock that only goes forward. */
static uint64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint32_t time_left(uint64_t deadline_ms)
{
    uint64_t now = clock_ms();
    return now < deadline_ms ? (uint32_t)(deadline_ms - now) : 0;
}

int tern_client_connect_wait(tern_client *client, uint32_t timeout_ms)
{
    tern_token *token;
    int rc = tern_client_connect(client, &token);
    if (rc != 0) return rc;
    rc = await(token, timeout_ms);
    if (rc != TERN_E_TIMEOUT) return rc;
    int cause = tern_client_copy_error_text(client, NULL, 0); /* why it did not connect so far */
    return cause != 0 ? cause : rc;
}

int tern_client_open_wait(tern_client **client, const char *url, uint32_t timeout_ms)
{
    if (client == NULL) return TERN_E_INVALID;
    int rc = tern_client_new(client, NULL);
    if (rc != 0) return rc;
    rc = tern_client_configure_url(*client, url);
    return rc != 0 ? rc : tern_client_connect_wait(*client, timeout_ms);
}

int tern_client_publish_wait(tern_client *client, const char *topic, const void *payload,
                             size_t payload_length, uint32_t flags, uint32_t timeout_ms)
{
    tern_token *token;
    int rc = tern_client_publish_token(client, topic, payload, payload_length, flags, &token);
    return rc != 0 ? rc : await(token, timeout_ms);
}

int tern_client_publish_message_wait(tern_client *client, const tern_message *message, uint64_t *id,
                                     uint32_t timeout_ms)
{
    tern_token *token;
    int rc = tern_client_publish_message(client, message, id, &token);
    return rc != 0 ? rc : await(token, timeout_ms);
}

int tern_client_subscribe_wait(tern_client *client, const char *filter, uint32_t flags,
                               uint32_t timeout_ms)
{
    tern_token *token;
    int rc = tern_client_subscribe(client, filter, flags, &token);
    return rc != 0 ? rc : await(token, timeout_ms);
}

int tern_client_subscribe_all_wait(tern_client *client, const tern_subscription *subscription,
                                   uint32_t timeout_ms)
{
    tern_token *token;
    int rc = tern_client_subscribe_all(client, subscription, &token);
    return rc != 0 ? rc : await(token, timeout_ms);
}

int tern_client_unsubscribe_wait(tern_client *client, const char *filter, uint32_t timeout_ms)
{
    tern_token *token;
    int rc = tern_client_unsubscribe(client, filter, &token);
    return rc != 0 ? rc : await(token, timeout_ms);
}

int tern_client_receive_wait(tern_client *client, tern_message **message, uint32_t timeout_ms)
{
    if (message != NULL) *message = NULL;
    if (client == NULL || message == NULL) return TERN_E_INVALID;
    if (tern_client_in_callback(client)) return TERN_E_WOULD_DEADLOCK;
    uint64_t deadline = clock_ms() + timeout_ms;
    for (;;) {
        int rc = tern_client_receive(client, message);
        if (rc != TERN_E_AGAIN) return rc;
        tern_token *token;
        rc = tern_client_receive_token(client, &token);
        if (rc != 0) return rc;
        rc = await(token, time_left(deadline)); /* another thread may still be first */
        if (rc != 0) return rc;
    }
}

int tern_client_flush_wait(tern_client *client, uint32_t timeout_ms)
{
    tern_token *token;
    int rc = tern_client_flush(client, &token);
    return rc != 0 ? rc : await(token, timeout_ms);
}

/* In manual mode the last callbacks run here, or in the thread that is dispatching just now. */
static int dispatch_until(tern_client *client, tern_token *token, uint64_t deadline)
{
    enum { SLICE_MS = 50 }; /* after which the other thread may have stopped dispatching */
    while (!tern_token_done(token)) {
        uint32_t left = time_left(deadline);
        if (left == 0) return TERN_E_TIMEOUT;
        int rc = tern_client_dispatch(client, left);
        if (rc == TERN_E_STATE) (void)tern_token_wait(token, left < SLICE_MS ? left : SLICE_MS);
        if (rc != 0 && rc != TERN_E_TIMEOUT && rc != TERN_E_CLOSED && rc != TERN_E_STATE) return rc;
    }
    return 0;
}

int tern_client_close_wait(tern_client *client, uint32_t timeout_ms)
{
    if (client == NULL) return TERN_E_INVALID;
    if (tern_client_in_callback(client)) return TERN_E_WOULD_DEADLOCK;
    uint64_t deadline = clock_ms() + timeout_ms;
    /* The drain ends early enough for what follows it: DISCONNECT and the last callbacks. */
    uint32_t margin = timeout_ms / 10 < 200 ? timeout_ms / 10 : 200;
    tern_token *token;
    int rc = tern_client_close(client, 1, timeout_ms - margin, &token);
    if (rc != 0) return rc;
    int descriptor;
    if (tern_client_dispatch_fd(client, &descriptor) == 0) rc = dispatch_until(client, token, deadline);
    if (rc == 0) rc = tern_token_wait(token, time_left(deadline));
    tern_token_unref(token);
    return rc;
}
