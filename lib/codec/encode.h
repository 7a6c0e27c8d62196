/* Encoding: packets to bytes. The caller measures, finds room, and writes; nothing allocates.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CODEC_ENCODE_H
#define TERN_CODEC_ENCODE_H

#include <stddef.h>
#include <stdint.h>

#include "codec/packet.h"

enum { TERN__MAX_PACKET = 268435460 }; /* 5 + 268,435,455: the largest packet that MQTT can frame */

/* Bytes of the encoded packet; 0 where it cannot be encoded (larger than MQTT allows, or of a type or version that
 * has no such packet). Content is not checked: that is the API's duty. */
size_t tern__encode_size(const tern__packet *packet, int version);

/* Writes exactly tern__encode_size() bytes at out. Acks use the short forms where reason is 0 and no property is there. */
void tern__encode(const tern__packet *packet, int version, uint8_t *out);

/* PUBACK (4), PUBREC (5), PUBREL (6) or PUBCOMP (7) with its reason in shortest form: returns the bytes written, 4 or 5
 * (3.1.1 always 4). */
size_t tern__ack_write(uint8_t type, uint16_t packet_id, uint8_t reason, int version, uint8_t out[5]);

/* Writes a variable byte integer and returns its bytes; 0 beyond 268,435,455. [MQTT5-1.5.5-1] */
size_t tern__varint_write(uint32_t value, uint8_t *out);

#endif
