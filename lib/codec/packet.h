/* Packets of MQTT 3.1.1 and 5 as views: what decoding fills in and encoding reads. Nothing is copied.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CODEC_PACKET_H
#define TERN_CODEC_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/view.h"

/* Control packet types, MQTT 5 section 2.1.2. */
enum tern__packet_type {
    TERN__CONNECT = 1,
    TERN__CONNACK = 2,
    TERN__PUBLISH = 3,
    TERN__PUBACK = 4,
    TERN__PUBREC = 5,
    TERN__PUBREL = 6,
    TERN__PUBCOMP = 7,
    TERN__SUBSCRIBE = 8,
    TERN__SUBACK = 9,
    TERN__UNSUBSCRIBE = 10,
    TERN__UNSUBACK = 11,
    TERN__PINGREQ = 12,
    TERN__PINGRESP = 13,
    TERN__DISCONNECT = 14,
    TERN__AUTH = 15
};

/* Protocol versions as on the wire. */
enum { TERN__V311 = 4, TERN__V5 = 5 };

/* Who sent the packet that is decoded: decides which types, properties and reason codes are legal. */
typedef enum tern__sender { TERN__FROM_CLIENT, TERN__FROM_SERVER } tern__sender;

/* A checked property block, still encoded. `present` has bit id set for each property id in it (all ids are
 * below 64). To encode, data/len hold properties in wire form without their length; present is not looked at. */
typedef struct tern__props {
    const uint8_t *data;
    size_t len;
    uint64_t present;
} tern__props;

/* A will, inside CONNECT. */
typedef struct tern__will {
    bool present;
    bool retain;
    uint8_t qos;
    tern__view topic;
    tern__view payload;
    tern__props props;
} tern__will;

typedef struct tern__connect_packet {
    bool clean_start; /* Clean Session in 3.1.1 */
    bool has_user_name;
    bool has_password;
    uint16_t keep_alive; /* seconds */
    tern__view client_id;
    tern__view user_name;
    tern__view password;
    tern__will will;
} tern__connect_packet;

typedef struct tern__connack_packet {
    bool session_present;
    uint8_t reason; /* a return code 0..5 in 3.1.1 */
} tern__connack_packet;

typedef struct tern__publish_packet {
    bool dup;
    bool retain;
    uint8_t qos;
    uint16_t packet_id; /* 0 for QoS 0 */
    tern__view topic;   /* may be empty in MQTT 5 with a topic alias */
    tern__view payload;
} tern__publish_packet;

/* PUBACK, PUBREC, PUBREL, PUBCOMP; in 3.1.1 reason is 0. */
typedef struct tern__ack_packet {
    uint16_t packet_id;
    uint8_t reason;
} tern__ack_packet;

/* SUBSCRIBE and UNSUBSCRIBE. `filters` is the checked list in wire form: walk it with tern__filters_next().
 * `options` is the Subscription Options byte; UNSUBSCRIBE has none. */
typedef struct tern__subscribe_packet {
    uint16_t packet_id;
    uint32_t count;
    tern__view filters;
} tern__subscribe_packet;

/* SUBACK and UNSUBACK: one code a filter (3.1.1's UNSUBACK has none). */
typedef struct tern__suback_packet {
    uint16_t packet_id;
    tern__view codes;
} tern__suback_packet;

/* DISCONNECT and AUTH. */
typedef struct tern__reason_packet {
    uint8_t reason;
} tern__reason_packet;

/* One packet. `props` is of the packet itself (a will's are in the will); empty in 3.1.1. */
typedef struct tern__packet {
    uint8_t type;
    tern__props props;
    union {
        tern__connect_packet connect;
        tern__connack_packet connack;
        tern__publish_packet publish;
        tern__ack_packet ack;
        tern__subscribe_packet subscribe;
        tern__suback_packet suback;
        tern__reason_packet reason;
    } u;
} tern__packet;

/* Why input was refused: the reason code to answer with, where, and which rule in words (a static text that
 * names the section). */
typedef struct tern__fault {
    uint8_t reason; /* 0x81 malformed, 0x82 protocol error, 0x90, 0x94, 0x95, ... */
    size_t offset;  /* bytes into the packet */
    const char *rule;
} tern__fault;

#endif
