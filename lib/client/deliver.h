/* Delivering a block of received messages to the handlers of their topics.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CLIENT_DELIVER_H
#define TERN_CLIENT_DELIVER_H

#include "client/mailbox.h"

/* Calls the handlers for every record from `first` on, and acknowledges each when its callbacks returned. Holds no lock
 * while it calls. */
void tern__deliver_block(tern__mailbox *mailbox, tern__block *block, uint32_t first);

#endif
