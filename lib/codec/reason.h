/* Reason codes: names, and which are legal in which packet.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CODEC_REASON_H
#define TERN_CODEC_REASON_H

#include <stdbool.h>
#include <stdint.h>

#include "codec/packet.h"

/* The name in words ("Not authorized"); never NULL. */
const char *tern__reason_name(int code);
/* Whether MQTT 5 allows that code in a packet of that type from that sender. */
bool tern__reason_legal(uint8_t code, int packet_type, tern__sender sender);
/* A 3.1.1 CONNACK return code (1..5, others) as the nearest MQTT 5 reason code. */
uint8_t tern__reason_from_connack311(uint8_t return_code);

#endif
