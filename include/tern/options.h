/** @file
 * Options: what is fixed for a client's life, and how it connects.
 *
 * Both kinds are opaque, hold copies of what they are given, and check each value as it is set;
 * what is refused leaves them as they were. A client clones them, so they may be freed or reused at
 * once. One thread uses an options object at a time. TERN_E_INVALID also stands for a value that is
 * out of range.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_OPTIONS_H
#define TERN_OPTIONS_H

#include <tern/types.h>

TERN_BEGIN_DECLS

/** Levels of log records, most severe first. */
typedef enum tern_log_level {
    TERN_LOG_NONE = 0,    /**< nothing */
    TERN_LOG_ERROR = 1,   /**< something failed for good */
    TERN_LOG_WARNING = 2, /**< something failed and is tried again, or looks wrong */
    TERN_LOG_INFO = 3,    /**< connections come and go */
    TERN_LOG_DEBUG = 4,   /**< each step */
    TERN_LOG_TRACE = 5    /**< each packet, without payloads */
} tern_log_level;

/** Receives log records. It is called on any of Tern's threads and on the caller's, so it must not
 * block and not call Tern. `text` is one line without secrets and without control characters,
 * borrowed until it returns. */
typedef void (*tern_log_callback)(tern_log_level level, const char *text, void *user_data);

/** @name Client options
 * What is fixed for a client's life.
 * @{ */

/** Creates client options with the defaults; they are the caller's. Errors: TERN_E_INVALID,
 * TERN_E_NOMEM. Thread: any. Blocks: no. */
TERN_API int tern_client_options_new(tern_client_options **options);
/** Frees client options; NULL does nothing. Thread: any. Blocks: no. */
TERN_API void tern_client_options_free(tern_client_options *options);
/** Makes a copy of client options, the caller's: for programs that make many clients which differ in
 * little. Errors: TERN_E_INVALID, TERN_E_NOMEM. Thread: any. Blocks: no. */
TERN_API int tern_client_options_copy(const tern_client_options *options,
                                      tern_client_options **copy);
/** Sets the client identifier (at most 65,535 bytes; default empty: the server assigns one).
 * Errors: TERN_E_INVALID, TERN_E_UTF8, TERN_E_TOO_LARGE, TERN_E_NOMEM. Thread: any, one at a time.
 * Blocks: no. (MQTT 5 section 3.1.3.1) */
TERN_API int tern_client_options_set_client_id(tern_client_options *options, const char *client_id);
/** Bounds the outbox: bytes held, some 32 for the record of each message included (default 64 MiB;
 * SIZE_MAX = memory alone decides), and messages (default 0 = bytes alone decide). An empty outbox takes
 * a message of any size. Errors: TERN_E_INVALID (also max_bytes 0). Thread: any, one at a time. Blocks:
 * no. */
TERN_API int tern_client_options_set_outbox_limits(tern_client_options *options, size_t max_bytes,
                                                   size_t max_messages);
/** Sets what publishing does at a bound; block_timeout_ms (0 = for ever) is for TERN_OUTBOX_BLOCK. The
 * policies that drop do so on the network thread, right afterwards: until then the bound is passed by an
 * eighth, 64 messages or one message at most. Errors: TERN_E_INVALID. Thread: any, one at a time. Blocks:
 * no. */
TERN_API int tern_client_options_set_outbox_policy(tern_client_options *options,
                                                   tern_outbox_policy policy,
                                                   uint32_t block_timeout_ms);
/** Sets how many messages of QoS 1 and 2 may be sent and not completed at a time (1..65535, default
 * 1000); the server's Receive Maximum lowers it. Errors: TERN_E_INVALID. Thread: any, one at a
 * time. Blocks: no. (MQTT 5 section 4.9) */
TERN_API int tern_client_options_set_inflight_maximum(tern_client_options *options, uint16_t maximum);
/** Sets how fast a backlog goes out: after each connection no more than `messages` (0 = no limit, the
 * default; at most 1,000,000) in interval_ms (at least 1), evenly spaced, until nothing waits any more; new
 * messages go behind those that wait. What was in flight before is sent again at once. Errors:
 * TERN_E_INVALID. Thread: any, one at a time. Blocks: no. */
TERN_API int tern_client_options_set_drain_rate(tern_client_options *options, uint32_t messages,
                                                uint32_t interval_ms);
/** Sets how many filters one SUBSCRIBE or UNSUBSCRIBE may have (0 = any number, the default): a request of
 * more goes out in several packets, and still has one token with a code for each filter. Errors:
 * TERN_E_INVALID. Thread: any, one at a time. Blocks: no. (MQTT 5 sections 3.8, 3.10) */
TERN_API int tern_client_options_set_filters_per_subscribe(tern_client_options *options,
                                                           uint16_t filters);
/** Sets how many bytes of received messages, and of outcomes for the delivery handler, are held for
 * callbacks (at least 1, default 4 MiB): at the bound reading pauses, and TCP holds the server. Errors: TERN_E_INVALID. Thread: any, one at a
 * time. Blocks: no. */
TERN_API int tern_client_options_set_inbound_limit(tern_client_options *options, size_t max_bytes);
/** Sets the largest packet accepted from the server in bytes (at least 1, default 16 MiB). It is
 * announced on MQTT 5, and enforced at the packet's header on both versions. Errors:
 * TERN_E_INVALID. Thread: any, one at a time. Blocks: no. (MQTT 5 section 3.1.2.11.4) */
TERN_API int tern_client_options_set_maximum_packet_size(tern_client_options *options, uint32_t bytes);
/** Sets how many messages of QoS 1 and 2 the server may send before they are acknowledged
 * (1..65535, default 65535); MQTT 5 only. Errors: TERN_E_INVALID. Thread: any, one at a time.
 * Blocks: no. (MQTT 5 section 3.1.2.11.3) */
TERN_API int tern_client_options_set_receive_maximum(tern_client_options *options, uint16_t maximum);
/** Sets how many topic aliases the server may use towards this client (default 0 = none); MQTT 5
 * only. Each may take up to 64 KiB of memory while the connection lasts, beyond the inbound limit.
 * Tern itself uses none towards the server. Errors: TERN_E_INVALID. Thread: any, one at a
 * time. Blocks: no. (MQTT 5 section 3.1.2.11.5) */
TERN_API int tern_client_options_set_topic_alias_maximum(tern_client_options *options,
                                                         uint16_t maximum);
/** Sets the loop that serves the client; NULL, the default, is one of its own. It is borrowed until
 * tern_client_new(), and kept alive by the client from then on. Errors: TERN_E_INVALID. Thread:
 * any, one at a time. Blocks: no. */
TERN_API int tern_client_options_set_loop(tern_client_options *options, tern_loop *loop);
/** Sets who runs the callbacks (default TERN_DISPATCH_THREAD). Errors: TERN_E_INVALID. Thread: any,
 * one at a time. Blocks: no. */
TERN_API int tern_client_options_set_dispatch(tern_client_options *options, tern_dispatch dispatch);
/** Sets when received messages are acknowledged (default TERN_ACK_AUTO). Errors: TERN_E_INVALID.
 * Thread: any, one at a time. Blocks: no. */
TERN_API int tern_client_options_set_ack(tern_client_options *options, tern_ack ack);
/** Sets where log records up to `level` go; NULL for nowhere, the default. Errors: TERN_E_INVALID.
 * Thread: any, one at a time. Blocks: no. */
TERN_API int tern_client_options_set_log(tern_client_options *options, tern_log_level level,
                                         tern_log_callback callback, void *user_data);

/** @} */

/** @name Connection options
 * How to connect; replaceable at any time, see tern_client_configure().
 * @{ */

/** Creates connection options with the defaults; they are the caller's. Errors: TERN_E_INVALID,
 * TERN_E_NOMEM. Thread: any. Blocks: no. */
TERN_API int tern_connection_options_new(tern_connection_options **options);
/** Frees connection options, overwriting the secrets that they held; NULL does nothing. Thread:
 * any. Blocks: no. */
TERN_API void tern_connection_options_free(tern_connection_options *options);
/** Adds a server by URL: `mqtt://host[:1883]`, `tcp://host[:1883]` or `unix:///path/to/socket`, the
 * first two with an optional `user:password@`. Servers are tried in the order added. Errors:
 * TERN_E_INVALID, TERN_E_URL (tern_url_error() tells where and why), TERN_E_UNSUPPORTED (a scheme
 * that this build lacks), TERN_E_NOMEM. Thread: any, one at a time. Blocks: no. */
TERN_API int tern_connection_options_add_server(tern_connection_options *options, const char *url);
/** Makes a copy of connection options, secrets included, the caller's. Errors: TERN_E_INVALID, TERN_E_NOMEM.
 * Thread: any. Blocks: no. */
TERN_API int tern_connection_options_copy(const tern_connection_options *options,
                                          tern_connection_options **copy);
/** Sets at which of the servers, counted from 0, the first attempt goes; beyond the last it counts on from
 * the first (default 0). Clients of one cluster that begin at different servers share its work. Errors:
 * TERN_E_INVALID. Thread: any, one at a time. Blocks: no. */
TERN_API int tern_connection_options_set_first_server(tern_connection_options *options,
                                                      size_t index);
/** Forgets the servers added so far. Errors: TERN_E_INVALID. Thread: any, one at a time. Blocks:
 * no. */
TERN_API int tern_connection_options_clear_servers(tern_connection_options *options);
/** Sets the protocol version (default TERN_VERSION_AUTO). Errors: TERN_E_INVALID. Thread: any, one
 * at a time. Blocks: no. (MQTT 5 section 3.1.2.2) */
TERN_API int tern_connection_options_set_version(tern_connection_options *options,
                                                 tern_version version);
/** Sets user name (NULL for none) and password (any bytes, NULL for none); where either is set,
 * those of the URL are not used. A password alone needs MQTT 5. Errors: TERN_E_INVALID (also a
 * length without a password), TERN_E_UTF8, TERN_E_TOO_LARGE (over 65,535 bytes), TERN_E_NOMEM.
 * Thread: any, one at a time. Blocks: no. (MQTT 5 sections 3.1.3.5, 3.1.3.6) */
TERN_API int tern_connection_options_set_credentials(tern_connection_options *options,
                                                     const char *user_name, const void *password,
                                                     size_t password_length);
/** Sets the keep alive in seconds (default 60; 0 = off, and a dead link is found by nothing but
 * failing writes); an MQTT 5 server may override it. Errors: TERN_E_INVALID. Thread: any, one at a
 * time. Blocks: no. (MQTT 5 section 3.1.2.10) */
TERN_API int tern_connection_options_set_keep_alive(tern_connection_options *options,
                                                    uint16_t seconds);
/** Sets the time for one attempt, name, address and CONNACK together (ms, default 10,000, at least
 * 1). Errors: TERN_E_INVALID. Thread: any, one at a time. Blocks: no. */
TERN_API int tern_connection_options_set_connect_timeout(tern_connection_options *options,
                                                         uint32_t timeout_ms);
/** Sets the session behaviour (default TERN_SESSION_PROCESS), and how many seconds an MQTT 5 broker
 * keeps the session while the client is away (default 3600; 0xFFFFFFFF = for ever;
 * TERN_SESSION_CLEAN needs none). Errors: TERN_E_INVALID. Thread: any, one at a time. Blocks: no.
 * (MQTT 5 sections 3.1.2.4, 3.1.2.11.2) */
TERN_API int tern_connection_options_set_session(tern_connection_options *options,
                                                 tern_session session, uint32_t expiry_seconds);
/** Sets the will: topic, payload, QoS, retain and properties of `will`, which is copied; NULL
 * removes it. delay_seconds is the Will Delay Interval; it and the properties are left out on
 * 3.1.1. Errors: TERN_E_INVALID, TERN_E_TOO_LARGE (payload over 65,535 bytes), TERN_E_NOMEM.
 * Thread: any, one at a time. Blocks: no. (MQTT 5 sections 3.1.2.5, 3.1.3.2) */
TERN_API int tern_connection_options_set_will(tern_connection_options *options,
                                              const tern_message *will, uint32_t delay_seconds);
/** Adds a user property to CONNECT; MQTT 5 only. Errors: TERN_E_INVALID, TERN_E_UTF8,
 * TERN_E_TOO_LARGE (name or value over 65,535 bytes), TERN_E_NOMEM. Thread: any, one at a time.
 * Blocks: no. (MQTT 5 section 3.1.2.11.8) */
TERN_API int tern_connection_options_add_user_property(tern_connection_options *options,
                                                       const char *name, const char *value);
/** Sets whether the server may send reason strings and user properties on every packet (1, the
 * default) or on a few alone (0); MQTT 5 only. Errors: TERN_E_INVALID. Thread: any, one at a time.
 * Blocks: no. (MQTT 5 section 3.1.2.11.7) */
TERN_API int tern_connection_options_set_request_problem_information(tern_connection_options *options,
                                                                     int request);
/** Sets whether to ask for Response Information (1; default 0), which
 * tern_event_response_information() tells; MQTT 5 only. Errors: TERN_E_INVALID. Thread: any, one at
 * a time. Blocks: no. (MQTT 5 section 3.1.2.11.6) */
TERN_API int tern_connection_options_set_request_response_information(tern_connection_options *options,
                                                                      int request);
/** Sets the reconnect delay: base * 2^n clamped to the maximum, then spread by the jitter (ms,
 * default 1,000 and 60,000, 1 <= base <= maximum; TERN_JITTER_PROPORTIONAL). Errors:
 * TERN_E_INVALID. Thread: any, one at a time. Blocks: no. */
TERN_API int tern_connection_options_set_retry_delay(tern_connection_options *options,
                                                     uint32_t base_ms, uint32_t maximum_ms,
                                                     tern_jitter jitter);
/** Sets how many rounds through the servers may fail in a row before connecting stops (default 0 =
 * no limit), and how long (ms, default 10,000) a connection must last before the delay starts over.
 * Errors: TERN_E_INVALID. Thread: any, one at a time. Blocks: no. */
TERN_API int tern_connection_options_set_retry_limit(tern_connection_options *options,
                                                     uint32_t attempts, uint32_t stable_ms);
/** Sets whether refusals that do not heal by themselves (bad credentials and the like) are tried
 * again (1), or stop reconnecting (0, the default). Errors: TERN_E_INVALID. Thread: any, one at a
 * time. Blocks: no. */
TERN_API int tern_connection_options_set_retry_refused(tern_connection_options *options, int retry);

/** @name How bytes get there
 * Sockets, proxies, WebSocket and TLS; see tern/tls.h.
 * @{ */

/** Sets how TLS goes for servers whose URL says TLS (`mqtts`, `ssl`, `tls`, `wss`): `tls` is copied; NULL
 * for the defaults: the system's certificate authorities, and everything verified. Errors:
 * TERN_E_INVALID, TERN_E_NOMEM. Thread: any, one at a time. Blocks: no. */
TERN_API int tern_connection_options_set_tls(tern_connection_options *options,
                                             const tern_tls_options *tls);
/** Sets the proxy that TCP connections go through, `http://[user:password@]host[:80]` (CONNECT) or
 * `socks5://[user:password@]host[:1080]`; it resolves the server's name. NULL for none, the default.
 * TLS and WebSocket go through it, Unix sockets do not. Errors: TERN_E_INVALID, TERN_E_URL
 * (tern_proxy_url_error() tells where and why), TERN_E_UNSUPPORTED, TERN_E_NOMEM. Thread: any, one at a
 * time. Blocks: no. (RFC 9110 section 9.3.6, RFC 1928) */
TERN_API int tern_connection_options_set_proxy(tern_connection_options *options, const char *url);
/** Sets whether the environment names the proxy where none is set (1; default 0): HTTPS_PROXY, else
 * ALL_PROXY, but for the hosts in NO_PROXY; lower case names count first. They are read in this call.
 * Errors: TERN_E_INVALID, TERN_E_NOMEM. Thread: any, one at a time, while no other changes the
 * environment. Blocks: no. */
TERN_API int tern_connection_options_set_environment_proxy(tern_connection_options *options, int use);
/** Says why a proxy's URL is not valid, as tern_url_error(). Thread: any. Blocks: no. */
TERN_API int tern_proxy_url_error(const char *url, char *buffer, size_t size);
/** Adds a header to the request of a WebSocket upgrade, for instance `Authorization`. Errors:
 * TERN_E_INVALID (also a name that is none, a value with control characters, or a header that the
 * upgrade sets itself), TERN_E_NOMEM. Thread: any, one at a time. Blocks: no. (RFC 6455 section 4.1) */
TERN_API int tern_connection_options_add_header(tern_connection_options *options, const char *name,
                                                const char *value);
/** Forgets the headers added so far. Errors: TERN_E_INVALID. Thread: any, one at a time. Blocks: no. */
TERN_API int tern_connection_options_clear_headers(tern_connection_options *options);
/** Sets the local address ("192.0.2.7", "2001:db8::7") and the network interface ("eth1", Linux alone)
 * that connections are bound to; NULL for any, the default. Errors: TERN_E_INVALID (also what is no IP
 * address). Thread: any, one at a time. Blocks: no. */
TERN_API int tern_connection_options_set_local(tern_connection_options *options, const char *address,
                                               const char *interface_name);
/** Sets TCP's own keepalive: seconds of silence before the first probe, seconds between probes, and how
 * many go unanswered before the connection counts as lost; 0 = the system's, the default. It is on
 * always, and finds dead peers later than MQTT's keep alive does. Errors: TERN_E_INVALID (over 32,767
 * seconds, over 127 probes). Thread: any, one at a time. Blocks: no. (RFC 9293 section 3.8.4) */
TERN_API int tern_connection_options_set_tcp_keep_alive(tern_connection_options *options,
                                                        uint32_t idle_seconds,
                                                        uint32_t interval_seconds, uint32_t probes);
/** Sets TCP_NODELAY (1, the default: small packets go out at once). Errors: TERN_E_INVALID. Thread: any,
 * one at a time. Blocks: no. */
TERN_API int tern_connection_options_set_tcp_no_delay(tern_connection_options *options, int no_delay);
/** @} */

/** Says why a URL is not valid, in words with the position, into `buffer` (NUL-terminated, cut at
 * `size` bytes, may be NULL). Returns 0 where the URL is fine, else TERN_E_URL, TERN_E_UNSUPPORTED
 * (a scheme that this build lacks) or TERN_E_NOMEM. Thread: any. Blocks: no. */
TERN_API int tern_url_error(const char *url, char *buffer, size_t size);
/** @} */

TERN_END_DECLS

#endif
