/* Decoding: a whole packet's bytes to views, with every rule of the specification checked.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CODEC_DECODE_H
#define TERN_CODEC_DECODE_H

#include <stddef.h>
#include <stdint.h>

#include "codec/framer.h"
#include "codec/packet.h"

/* Decodes one whole packet of frame->len bytes at data; views in `packet` borrow from data.
 * `version` is the connection's (CONNECT decodes by the version inside it when version is 0; then *version_out, if
 * not NULL, is it). Errors: TERN_E_MALFORMED, TERN_E_PROTOCOL with `fault` filled in; nothing of `packet` is valid then.
 * An MQTT 5 connection may be refused by a CONNACK in 3.1.1's form: its return code 1..5 comes out as the nearest
 * reason code. */
int tern__decode(const uint8_t *data, const tern__frame *frame, int version, tern__sender sender,
                 tern__packet *packet, int *version_out, tern__fault *fault);

/* The same for a PUBLISH alone: the fast path of receiving. */
int tern__decode_publish(const uint8_t *data, const tern__frame *frame, int version, tern__sender sender,
                         tern__publish_packet *publish, tern__props *props, tern__fault *fault);

/* Next filter of a SUBSCRIBE (with_options) or UNSUBSCRIBE; `rest` advances. False at the end. */
bool tern__filters_next(tern__view *rest, bool with_options, tern__view *filter, uint8_t *options);

#endif
