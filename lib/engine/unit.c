/* Units: messages that were accepted together, stand next to each other in the log, and are sent together or not at all.
 *
 * Whether a unit goes out is decided at its first entry. Once that was begun each of the rest is on its own, but for expiry,
 * which applies until the first byte of the whole is out.
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "engine/machine.h"

uint32_t tern__unit_count(tern__chunk *chunk, uint32_t first)
{
    uint32_t count = 1;
    while (tern__chunk_entry(chunk, first + count - 1)->unit) count++;
    return count;
}

uint32_t tern__unit_first(tern__chunk *chunk, uint32_t index)
{
    assert(!tern__chunk_entry(chunk, index)->bound && "its unit was not begun");
    while (index != 0 && tern__chunk_entry(chunk, index - 1)->unit) index--;
    return index;
}

static void set_bound(tern__chunk *chunk, uint32_t first, bool bound)
{
    uint32_t count = tern__unit_count(chunk, first);
    for (uint32_t i = first + 1; i < first + count; i++) tern__chunk_entry(chunk, i)->bound = bound;
}

void tern__unit_begin(tern__chunk *chunk, uint32_t first)
{
    set_bound(chunk, first, true);
}

void tern__unit_return(tern__chunk *chunk, uint32_t first)
{
    const tern__entry *entry = tern__chunk_entry(chunk, first);
    if (!entry->bound && !entry->left) set_bound(chunk, first, false);
}

void tern__unit_tell_unsent(tern__engine *e, tern__chunk *chunk, uint32_t first, uint32_t count, tern_cause cause)
{
    for (uint32_t i = first; i < first + count; i++) tern__outcome_tell_unsent(e, chunk, i, cause);
}
