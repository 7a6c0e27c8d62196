/* A batch's JSON: written item by item, without a tree.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_PAYLOAD_BATCH_H
#define TERN_PAYLOAD_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Appends one message as a JSON object, without a comma. 0 or TERN_E_NOMEM: then `out` is as it was. The topic is UTF-8; a payload
 * that is not goes as base64. */
int tern__batch_write(tern__buf *out, const char *topic, const void *payload, size_t len, unsigned qos, uint64_t wall_us);

#endif
