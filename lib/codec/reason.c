/* Reason codes: names, and which are legal in which packet.
 * SPDX-License-Identifier: Apache-2.0 */
#include "codec/reason.h"

#include <stddef.h>
#include <tern/error.h>

#include "codec/wire.h"

#define CONNACK TERN__BY_BOTH(TERN__CONNACK)
#define PUBACK TERN__BY_BOTH(TERN__PUBACK)
#define PUBREC TERN__BY_BOTH(TERN__PUBREC)
#define PUBREL TERN__BY_BOTH(TERN__PUBREL)
#define PUBCOMP TERN__BY_BOTH(TERN__PUBCOMP)
#define SUBACK TERN__BY_BOTH(TERN__SUBACK)
#define UNSUBACK TERN__BY_BOTH(TERN__UNSUBACK)
#define AUTH TERN__BY_BOTH(TERN__AUTH)
#define AUTH_OF_CLIENT TERN__BY_CLIENT(TERN__AUTH)
#define DISCONNECT TERN__BY_BOTH(TERN__DISCONNECT)
#define DISCONNECT_OF_CLIENT TERN__BY_CLIENT(TERN__DISCONNECT)
#define DISCONNECT_OF_SERVER TERN__BY_SERVER(TERN__DISCONNECT)

/* Reason codes of MQTT 5 section 2.4 with the packets that may carry them: X(code, packets, name).
 * [MQTT5-3.2.2-8] [MQTT5-3.4.2-1] [MQTT5-3.5.2-1] [MQTT5-3.6.2-1] [MQTT5-3.7.2-1] [MQTT5-3.9.3-2]
 * [MQTT5-3.11.3-2] [MQTT5-3.14.2-1] [MQTT5-3.15.2-1] */
#define REASONS(X)                                                                                 \
    X(0x00, CONNACK | PUBACK | PUBREC | PUBREL | PUBCOMP | SUBACK | UNSUBACK | AUTH | DISCONNECT,  \
      "Success")                                                                                   \
    X(0x01, SUBACK, "Granted QoS 1")                                                               \
    X(0x02, SUBACK, "Granted QoS 2")                                                               \
    X(0x04, DISCONNECT_OF_CLIENT, "Disconnect with Will Message")                                  \
    X(0x10, PUBACK | PUBREC, "No matching subscribers")                                            \
    X(0x11, UNSUBACK, "No subscription existed")                                                   \
    X(0x18, AUTH, "Continue authentication")                                                       \
    X(0x19, AUTH_OF_CLIENT, "Re-authenticate")                                                     \
    X(0x80, CONNACK | PUBACK | PUBREC | SUBACK | UNSUBACK | DISCONNECT, "Unspecified error")       \
    X(0x81, CONNACK | DISCONNECT, "Malformed Packet")                                              \
    X(0x82, CONNACK | DISCONNECT, "Protocol Error")                                                \
    X(0x83, CONNACK | PUBACK | PUBREC | SUBACK | UNSUBACK | DISCONNECT,                            \
      "Implementation specific error")                                                             \
    X(0x84, CONNACK, "Unsupported Protocol Version")                                               \
    X(0x85, CONNACK, "Client Identifier not valid")                                                \
    X(0x86, CONNACK, "Bad User Name or Password")                                                  \
    X(0x87, CONNACK | PUBACK | PUBREC | SUBACK | UNSUBACK | DISCONNECT_OF_SERVER,                  \
      "Not authorized")                                                                            \
    X(0x88, CONNACK, "Server unavailable")                                                         \
    X(0x89, CONNACK | DISCONNECT_OF_SERVER, "Server busy")                                         \
    X(0x8A, CONNACK, "Banned")                                                                     \
    X(0x8B, DISCONNECT_OF_SERVER, "Server shutting down")                                          \
    X(0x8C, CONNACK | DISCONNECT, "Bad authentication method")                                     \
    X(0x8D, DISCONNECT_OF_SERVER, "Keep Alive timeout")                                            \
    X(0x8E, DISCONNECT_OF_SERVER, "Session taken over")                                            \
    X(0x8F, SUBACK | UNSUBACK | DISCONNECT_OF_SERVER, "Topic Filter invalid")                      \
    X(0x90, CONNACK | PUBACK | PUBREC | DISCONNECT, "Topic Name invalid")                          \
    X(0x91, PUBACK | PUBREC | SUBACK | UNSUBACK, "Packet Identifier in use")                       \
    X(0x92, PUBREL | PUBCOMP, "Packet Identifier not found")                                       \
    X(0x93, DISCONNECT, "Receive Maximum exceeded")                                                \
    X(0x94, DISCONNECT, "Topic Alias invalid")                                                     \
    X(0x95, CONNACK | DISCONNECT, "Packet too large")                                              \
    X(0x96, DISCONNECT, "Message rate too high")                                                   \
    X(0x97, CONNACK | PUBACK | PUBREC | SUBACK | DISCONNECT, "Quota exceeded")                     \
    X(0x98, DISCONNECT, "Administrative action")                                                   \
    X(0x99, CONNACK | PUBACK | PUBREC | DISCONNECT, "Payload format invalid")                      \
    X(0x9A, CONNACK | DISCONNECT_OF_SERVER, "Retain not supported")                                \
    X(0x9B, CONNACK | DISCONNECT_OF_SERVER, "QoS not supported")                                   \
    X(0x9C, CONNACK | DISCONNECT_OF_SERVER, "Use another server")                                  \
    X(0x9D, CONNACK | DISCONNECT_OF_SERVER, "Server moved")                                        \
    X(0x9E, SUBACK | DISCONNECT_OF_SERVER, "Shared Subscriptions not supported")                   \
    X(0x9F, CONNACK | DISCONNECT_OF_SERVER, "Connection rate exceeded")                            \
    X(0xA0, DISCONNECT_OF_SERVER, "Maximum connect time")                                          \
    X(0xA1, SUBACK | DISCONNECT_OF_SERVER, "Subscription Identifiers not supported")               \
    X(0xA2, SUBACK | DISCONNECT_OF_SERVER, "Wildcard Subscriptions not supported")

enum { REASON_COUNT = 0xA3 };

typedef struct reason_row {
    uint32_t packets;
    const char *name;
} reason_row;

static const reason_row reasons[REASON_COUNT] = {
#define REASON_ROW(code, packets, name) [code] = {packets, name},
    REASONS(REASON_ROW)
#undef REASON_ROW
};

const char *tern__reason_name(int code)
{
    if (code < 0 || code >= REASON_COUNT || reasons[code].name == NULL)
        return "Unknown reason code";
    return reasons[code].name;
}

bool tern__reason_legal(uint8_t code, int packet_type, tern__sender sender)
{
    return code < REASON_COUNT && tern__set_has(reasons[code].packets, packet_type, sender);
}

uint8_t tern__reason_from_connack311(uint8_t return_code)
{
    static const uint8_t nearest[] = {0x00, 0x84, 0x85, 0x88, 0x86, 0x87};
    return return_code < sizeof nearest ? nearest[return_code] : 0x80;
}

const char *tern_reason_text(int reason_code)
{
    return tern__reason_name(reason_code);
}
