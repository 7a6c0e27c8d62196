/** @file
 * Tokens: the pending result of a connect, disconnect, close, publish, subscribe, unsubscribe,
 * flush or receive.
 *
 * A token ends exactly once. It belongs to whoever asked for it, may outlive its client, and is
 * released with tern_token_unref(); releasing it early cancels nothing, and its callback still
 * runs. A call that hands out a token needs memory and a lock for it: it may answer TERN_E_NOMEM
 * or, where the system is out of locks, TERN_E_SYSTEM. All calls here are safe from any thread and
 * in callbacks.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TOKEN_H
#define TERN_TOKEN_H

#include <tern/types.h>

TERN_BEGIN_DECLS

/** Told once when the token has ended. The token is borrowed until the callback returns. Runs where
 * the client's callbacks run. */
typedef void (*tern_token_callback)(tern_token *token, void *user_data);

/** Takes one more reference; returns the token, or NULL for NULL. Thread: any. Blocks: no. */
TERN_API tern_token *tern_token_ref(tern_token *token);
/** Gives a reference back; NULL does nothing. Thread: any. Blocks: no. */
TERN_API void tern_token_unref(tern_token *token);
/** Waits for the end and returns the token's error, 0 for success. Errors: TERN_E_INVALID,
 * TERN_E_TIMEOUT (timeout_ms passed first, and nothing is cancelled; tern_token_done() tells it from
 * a token that ended so), TERN_E_WOULD_DEADLOCK (in a callback of the client, where the wait could
 * never end: while reading is paused, while the attempt handler is asked or to be asked, and always
 * for the token of a close), and as tern_token_error(). Thread: any. Blocks: up to timeout_ms. */
TERN_API int tern_token_wait(tern_token *token, uint32_t timeout_ms);
/** 1 once it has ended, 0 before and for NULL. Thread: any. Blocks: no. */
TERN_API int tern_token_done(const tern_token *token);
/** Calls back at the end, also where that has passed already; one callback a token. That of a close
 * is the client's last callback. Errors: TERN_E_INVALID, TERN_E_STATE (it has one), TERN_E_CLOSED
 * (it has ended, and so has closing its client: no callback runs any more).
 * Thread: any. Blocks: no. */
TERN_API int tern_token_set_callback(tern_token *token, tern_token_callback callback,
                                     void *user_data);
/** 0 for success, else why it failed; TERN_E_AGAIN while pending, TERN_E_INVALID for NULL. Of a
 * publish: REFUSED gives TERN_E_REFUSED; NOT_SENT and UNKNOWN give what is nearest to their cause:
 * expired TERN_E_EXPIRED, too large TERN_E_TOO_LARGE, unsupported TERN_E_UNSUPPORTED, closed
 * TERN_E_CLOSED, connection or session lost TERN_E_CONNECTION_LOST. Of a subscribe or unsubscribe:
 * TERN_E_REFUSED where any filter was refused, TERN_E_UNSUPPORTED where the server has said that it
 * cannot do it, TERN_E_TOO_LARGE beyond its packet size, TERN_E_CLOSED. Of a connect: what stopped
 * it, TERN_E_CANCELLED where that was the application. Thread: any. Blocks: no. */
TERN_API int tern_token_error(const tern_token *token);
/** The failure in words: the step, the peer, the cause. Never NULL; empty where there is none.
 * Valid while the token is. Thread: any. Blocks: no. */
TERN_API const char *tern_token_error_text(const tern_token *token);
/** Id of a publish's message; 0 for other tokens. Thread: any. Blocks: no. */
TERN_API uint64_t tern_token_message_id(const tern_token *token);
/** Outcome of a publish; TERN_OUTCOME_PENDING before the end, and for other tokens. Thread: any.
 * Blocks: no. */
TERN_API tern_outcome tern_token_outcome(const tern_token *token);
/** Cause of a publish's outcome; TERN_CAUSE_NONE for other tokens. Thread: any. Blocks: no. */
TERN_API tern_cause tern_token_cause(const tern_token *token);
/** Number of the server's reason codes: one a filter for subscribe and unsubscribe (none for a
 * 3.1.1 unsubscribe), 1 for a publish that the server answered and for a connect that it refused, else
 * 0. Thread: any. Blocks: no. (MQTT 5 section 2.4) */
TERN_API size_t tern_token_reason_count(const tern_token *token);
/** The reason code at index, 0..255; -1 beyond. Of a subscribe: the granted QoS, or 0x80 and more
 * where the filter was refused. Thread: any. Blocks: no. */
TERN_API int tern_token_reason_code(const tern_token *token, size_t index);
/** The Reason String of the server's answer to a publish, subscribe, unsubscribe or refused connect;
 * NULL where it sent none. Valid while the token is. Thread: any. Blocks: no. */
TERN_API const char *tern_token_reason_string(const tern_token *token);

TERN_END_DECLS

#endif
