/* Fields that several packets have, and the decoding of CONNECT, which says itself what version it
 * is of. SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CODEC_FIELDS_H
#define TERN_CODEC_FIELDS_H

#include "codec/wire.h"

/* A packet id, which is never 0. */
uint16_t tern__cursor_packet_id(tern__cursor *cursor);
/* A property length and as many bytes of properties, checked. */
void tern__cursor_props(tern__cursor *cursor, int where, tern__sender sender, tern__props *props);
/* The body of a CONNECT; `version` 0 takes the packet's own, else they must agree. */
void tern__decode_connect(tern__cursor *cursor, int version, tern__packet *packet,
                          int *version_out);

#endif
