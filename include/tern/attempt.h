/** @file
 * Attempts: what the application may say before each attempt to connect.
 *
 * Tokens that expire, signed URLs, certificates from a vault, a veto while the machine is on battery: the
 * attempt handler is asked where callbacks run, before name, socket and CONNECT, and may take its time:
 * the time for connecting starts afterwards. What it sets goes for this attempt alone; it is wiped when
 * the server has answered, and never logged.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_ATTEMPT_H
#define TERN_ATTEMPT_H

#include <tern/types.h>

TERN_BEGIN_DECLS

/** Asked before each attempt to connect. The attempt is borrowed until the callback returns. */
typedef void (*tern_attempt_callback)(tern_client *client, tern_attempt *attempt, void *user_data);

/** Sets who is asked before each attempt; NULL removes it. In manual mode no attempt starts before
 * tern_client_dispatch() has asked. Errors: TERN_E_INVALID, TERN_E_CLOSED. Thread: any. Blocks: no. */
TERN_API int tern_client_set_attempt_handler(tern_client *client, tern_attempt_callback callback,
                                             void *user_data);

/** @name Answering
 * Thread: that of the callback. Blocks: no. Waits for the client answer
 * TERN_E_WOULD_DEADLOCK meanwhile: what they wait for comes after the attempt.
 * @{ */
/** The options of this attempt: a copy of the client's with the one server whose turn it is, which every
 * setter of tern/options.h may change; credentials, headers, TLS and proxy as well as the server, after
 * tern_connection_options_clear_servers(). Session, delays and limits of the retries stay the client's.
 * Borrowed; NULL for NULL. */
TERN_API tern_connection_options *tern_attempt_options(tern_attempt *attempt);
/** Number of the attempt, from 1, since the last connection or tern_client_connect(); 0 for NULL. */
TERN_API uint32_t tern_attempt_number(const tern_attempt *attempt);
/** The server whose turn it is, as a URL without credentials; never NULL. */
TERN_API const char *tern_attempt_server(const tern_attempt *attempt);
/** Sets what the event's hint says where the server refuses the credentials of this attempt (0x86, 0x87): what
 * the application knows of them, for instance how old they are. No secrets; NULL for none. Errors:
 * TERN_E_INVALID, TERN_E_NOMEM. */
TERN_API int tern_attempt_set_hint(tern_attempt *attempt, const char *text);
/** Does not connect now: asks again after so many milliseconds. Errors: TERN_E_INVALID. */
TERN_API int tern_attempt_postpone(tern_attempt *attempt, uint32_t delay_ms);
/** Does not connect and stops, as a refusal that does not heal: the event STOPPED tells
 * TERN_E_CANCELLED with `reason` (may be NULL), and tern_client_connect() may follow. Errors:
 * TERN_E_INVALID, TERN_E_NOMEM. */
TERN_API int tern_attempt_stop(tern_attempt *attempt, const char *reason);
/** @} */

TERN_END_DECLS

#endif
