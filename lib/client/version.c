/* The library's version.
 * SPDX-License-Identifier: Apache-2.0 */
#include <tern/types.h>

const char *tern_version_string(void)
{
    return TERN_VERSION_TEXT;
}
