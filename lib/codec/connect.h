/* Decoding of CONNECT, which says itself what version it is of; and of property blocks inside a packet.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CODEC_CONNECT_H
#define TERN_CODEC_CONNECT_H

#include "codec/wire.h"

/* The body of a CONNECT; `version` 0 takes the packet's own, else they must agree. */
void tern__decode_connect(tern__cursor *cursor, int version, tern__packet *packet, int *version_out);

/* A property length and as many bytes of properties, checked. */
void tern__cursor_props(tern__cursor *cursor, int where, tern__sender sender, tern__props *props);

#endif
