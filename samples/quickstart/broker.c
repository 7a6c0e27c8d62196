/* A mosquitto of the quickstart's own: on a free loopback port, started and stopped by pid.
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "broker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static int free_port(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int port = -1;
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &len) == 0)
        port = ntohs(address.sin_port);
    if (fd >= 0) close(fd);
    return port;
}

/* mosquitto ends at once where WebSocket is all it has: then a plain listener that nobody uses stands before it. */
static void write_listener(FILE *file, const broker *b)
{
    if (b->way == WAY_WSS) fprintf(file, "listener %d 127.0.0.1\n", free_port());
    fprintf(file, "listener %d%s\n", b->port, b->way == WAY_WSS ? "\nsocket_domain ipv4\nprotocol websockets" : " 127.0.0.1");
    if (b->way != WAY_TCP)
        fprintf(file, "cafile %s/ca.pem\ncertfile %s/server.pem\nkeyfile %s/server.key\n", b->folder, b->folder, b->folder);
}

int broker_init(broker *b, const char *program, const char *folder, enum way way)
{
    char path[512];
    *b = (broker){program, folder, way, free_port(), 0};
    snprintf(path, sizeof path, "%s/mosquitto.conf", folder);
    FILE *file = b->port > 0 ? fopen(path, "w") : NULL;
    if (file == NULL) {
        fprintf(stderr, "cannot write %s: %s\n", path, strerror(errno));
        return -1;
    }
    write_listener(file, b);
    fprintf(file, "allow_anonymous true\npersistence true\npersistence_location %s/\nmax_queued_messages 0\nlog_dest none\n",
            folder);
    if (geteuid() == 0) fprintf(file, "user root\n"); /* else it drops to a user that cannot write here */
    return fclose(file) == 0 ? 0 : -1;
}

static int accepts(const broker *b)
{
    struct sockaddr_in address = loopback(b->port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int ok = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0) close(fd);
    return ok;
}

int broker_start(broker *b)
{
    char path[512];
    snprintf(path, sizeof path, "%s/mosquitto.conf", b->folder);
    b->pid = fork();
    if (b->pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* nothing is left running, whatever happens to us */
        execl(b->program, b->program, "-c", path, (char *)NULL);
        _exit(127);
    }
    for (int tries = 0; b->pid > 0 && tries < 500; tries++) {
        if (accepts(b)) return 0;
        if (waitpid(b->pid, NULL, WNOHANG) == b->pid) break;
        poll(NULL, 0, 10);
    }
    fprintf(stderr, "%s did not start on port %d\n", b->program, b->port);
    broker_stop(b);
    return -1;
}

void broker_stop(broker *b)
{
    if (b->pid <= 0) return;
    kill(b->pid, SIGTERM);
    waitpid(b->pid, NULL, 0);
    b->pid = 0;
}
