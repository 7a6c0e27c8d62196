/* Commands: what application threads ask of the loop.
 * SPDX-License-Identifier: Apache-2.0 */
#include "client/command.h"

#include <tern/subscription.h>

#include "base/alloc.h"

tern__command *tern__command_new(tern__command_kind kind)
{
    tern__command *command = tern__calloc(1, sizeof *command);
    if (command == NULL) return NULL;
    tern__list_init(&command->link);
    command->kind = kind;
    return command;
}

void tern__command_free(tern__command *command)
{
    tern_subscription_free(command->subscription);
    tern__free(command);
}
