/* Names and a network of a test's own.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support/names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/net.h"
#include "support/peers.h"

/* Set where the program runs for the second time, to what is inside. */
static const char INSIDE[] = "TERN_TEST_NAMES";

/* Mounts over the three files, then becomes the program. A name service cache would answer from
 * outside. */
static const char SCRIPT[] = "set -e; cd \"$1\"; shift; mount --bind hosts /etc/hosts; mount "
                             "--bind resolv.conf /etc/resolv.conf; "
                             "mount --bind nsswitch.conf /etc/nsswitch.conf; [ ! -d /run/nscd ] || "
                             "mount -t tmpfs none /run/nscd; "
                             "exec \"$@\"";

static bool write_text(const char *folder, const char *name, const char *text)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    if (file == NULL) return false;
    fputs(text, file);
    return fclose(file) == 0;
}

static bool write_files(const char *folder, const char *hosts)
{
    return write_text(folder, "hosts", hosts) &&
           write_text(folder, "nsswitch.conf", "hosts: files dns\n") &&
           write_text(folder, "resolv.conf",
                      "nameserver 127.0.0.1\noptions timeout:5 attempts:2\n");
}

static bool raise_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo"};
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    const bool up = ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    close(fd);
    if (!up) fprintf(stderr, "loopback cannot be raised: %s\n", strerror(errno));
    return up;
}

/* The folder is of use until the files are mounted; it is removed by the program that started over.
 */
static bool enter(const char *folder)
{
    const bool up = raise_loopback();
    net_remove_dir(folder);
    unsetenv(INSIDE);
    return up;
}

static bool can_start_over(const char *folder)
{
    char output[512];
    const char *const probe[] = {"unshare", "-rnm", "sh", "-c", SCRIPT, "sh", folder, "true", NULL};
    if (peer_run(probe, NULL, output, sizeof output) == 0) return true;
    fprintf(stderr, "no namespaces of our own here: unshare -rnm: %s\n", output);
    return false;
}

bool names_are_private(char **arguments, const char *hosts)
{
    char folder[96];
    char self[512];
    const char *all[32] = {"unshare", "-rnm", "sh", "-c", SCRIPT, "sh", folder, self};
    size_t n = 8;
    if (getenv(INSIDE) != NULL) return enter(getenv(INSIDE));
    const ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len <= 0 || !net_temp_dir(folder, sizeof folder)) return false;
    self[len] = '\0';
    for (size_t i = 1; arguments[i] != NULL && n < 31; i++)
        all[n++] = arguments[i];
    if (write_files(folder, hosts) && can_start_over(folder) && setenv(INSIDE, folder, 1) == 0) {
        execvp(all[0], (char **)(uintptr_t)all);
        perror("unshare");
    }
    net_remove_dir(folder);
    return false;
}

int names_silence(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(53)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&in, sizeof in) == 0) return fd;
    close(fd);
    return -1;
}

bool names_were_asked(int server)
{
    return net_readable(server, NET_PATIENCE_MS);
}
