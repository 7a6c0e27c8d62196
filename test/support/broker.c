/* Debian's mosquitto for tests.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support/broker.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/net.h"

static const char *program(void)
{
    static const char *const places[] = {"/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/usr/bin/mosquitto"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (access(places[i], X_OK) == 0) return places[i];
    return NULL;
}

static bool write_configuration(const broker *b, const char *extra)
{
    char path[160];
    snprintf(path, sizeof path, "%s/mosquitto.conf", b->folder);
    FILE *file = fopen(path, "w");
    if (file == NULL) return false;
    fprintf(file, "listener %u 127.0.0.1\nlistener 0 %s/socket\n", b->port, b->folder);
    fprintf(file, "persistence true\npersistence_location %s/\nmax_queued_messages 0\nmax_inflight_messages 0\n", b->folder);
    if (geteuid() == 0) fprintf(file, "user root\n");
    fprintf(file, "%s\n", extra != NULL ? extra : "allow_anonymous true");
    return fclose(file) == 0;
}

bool broker_new(broker *b, const char *extra)
{
    memset(b, 0, sizeof *b);
    if (program() == NULL || !net_temp_dir(b->folder, sizeof b->folder)) return false;
    for (int tries = 0; tries < 5; tries++) {
        int listener = net_listen("127.0.0.1", &b->port); /* a port that was free a moment ago */
        if (listener >= 0) close(listener);
        snprintf(b->url, sizeof b->url, "mqtt://127.0.0.1:%u", b->port);
        snprintf(b->unix_url, sizeof b->unix_url, "unix://%s/socket", b->folder);
        if (write_configuration(b, extra) && broker_start(b)) return true;
    }
    broker_free(b);
    return false;
}

bool broker_start(broker *b)
{
    char path[160];
    char log[160];
    snprintf(path, sizeof path, "%s/mosquitto.conf", b->folder);
    snprintf(log, sizeof log, "%s/log", b->folder);
    char *arguments[] = {(char *)(uintptr_t)program(), (char *)(uintptr_t)"-c", path, NULL};
    b->pid = net_spawn(arguments, log);
    if (b->pid > 0 && net_wait_listening("127.0.0.1", b->port, NET_PATIENCE_MS)) return true;
    broker_stop(b);
    return false;
}

void broker_stop(broker *b)
{
    if (b->pid > 0) (void)net_stop(b->pid, SIGTERM, NET_PATIENCE_MS);
    b->pid = 0;
}

void broker_free(broker *b)
{
    broker_stop(b);
    if (b->folder[0] != '\0') net_remove_dir(b->folder);
}
