/* A program of a stranger's: uses the installed library through its public headers.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <tern/tern.h>

int main(void)
{
    tern_client *client = NULL;
    int rc = tern_client_new(&client, NULL);
    if (rc == 0) rc = tern_client_publish(client, "a/b", "x", 1, TERN_QOS_1, NULL);
    printf("tern %s: %s\n", tern_version_string(), tern_strerror(rc));
    tern_client_free(client);
    return rc != 0;
}
