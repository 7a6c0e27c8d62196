/* Tokens: the pending result of a connect, publish, subscribe, unsubscribe, disconnect or close.
 *
 * A token ends exactly once. It belongs to whoever asked for it, may outlive its client, and is released
 * with tern_token_unref(); releasing it early cancels nothing.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TOKEN_H
#define TERN_TOKEN_H

#include <tern/types.h>

TERN_BEGIN_DECLS

/** Told once when the token has ended; runs where the client's callbacks run. The token is borrowed. */
typedef void (*tern_token_callback)(tern_token *token, void *user_data);

/** One more reference; returns the token. */
TERN_API tern_token *tern_token_ref(tern_token *token);
/** Gives a reference back; NULL does nothing. */
TERN_API void tern_token_unref(tern_token *token);
/** Waits for the end. Returns the token's error (0 = success), TERN_E_TIMEOUT when timeout_ms passed first
 * (nothing is cancelled), or TERN_E_WOULD_DEADLOCK where waiting in this callback could never end.
 * Thread: any. Blocks: up to timeout_ms. */
TERN_API int tern_token_wait(tern_token *token, uint32_t timeout_ms);
/** 1 once it has ended. Thread: any. Blocks: no. */
TERN_API int tern_token_done(const tern_token *token);
/** Calls back at the end, also where that has passed already. One callback a token.
 * Errors: TERN_E_INVALID, TERN_E_STATE (it has one), TERN_E_CLOSED (already ended, and its client is gone).
 * Thread: any. Blocks: no. */
TERN_API int tern_token_set_callback(tern_token *token, tern_token_callback callback,
                                     void *user_data);
/** 0 for success, else why it failed; TERN_E_AGAIN while pending. A publish that ends REFUSED gives
 * TERN_E_REFUSED, NOT_SENT and UNKNOWN give the error nearest to their cause. */
TERN_API int tern_token_error(const tern_token *token);
/** The failure in words: the step, the peer, the cause. Never NULL; empty where there was none. Valid while
 * the token is. */
TERN_API const char *tern_token_error_text(const tern_token *token);
/** Id of a publish's message, 0 for other tokens. */
TERN_API uint64_t tern_token_message_id(const tern_token *token);
/** Outcome of a publish; TERN_OUTCOME_PENDING before the end. */
TERN_API tern_outcome tern_token_outcome(const tern_token *token);
/** Cause of a publish's outcome. */
TERN_API tern_cause tern_token_cause(const tern_token *token);
/** Number of reason codes: one a filter for subscribe and unsubscribe, else 1 where the server answered. */
TERN_API size_t tern_token_reason_count(const tern_token *token);
/** The reason code at index, 0..255; -1 beyond. For a subscribe: the granted QoS, or 0x80 and more. */
TERN_API int tern_token_reason_code(const tern_token *token, size_t index);
/** The server's Reason String; NULL where it sent none. Valid while the token is. */
TERN_API const char *tern_token_reason_string(const tern_token *token);

TERN_END_DECLS

#endif
