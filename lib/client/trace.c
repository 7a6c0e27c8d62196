/* Traces: packet types, ids and lengths out of the bytes that pass.
 * SPDX-License-Identifier: Apache-2.0 */
#include "client/trace.h"

#include <stdio.h>

#include "codec/packet.h"

static const char *const names[16] = {
    "packet type 0", "CONNECT", "CONNACK",     "PUBLISH",  "PUBACK",  "PUBREC",   "PUBREL",     "PUBCOMP",
    "SUBSCRIBE",     "SUBACK",  "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH",
};

/* Bytes of the fixed header: 0 while its length is not whole yet. */
static unsigned head_len(const tern__trace *trace)
{
    for (unsigned i = 1; i < trace->have && i <= 4; i++)
        if (trace->head[i] < 0x80) return i + 1;
    return trace->have > 4 ? 5 : 0; /* longer than MQTT has: the engine ends such a connection */
}

static uint32_t remaining(const tern__trace *trace)
{
    uint32_t value = 0;
    for (unsigned i = 1; i <= 4; i++) {
        value |= (uint32_t)(trace->head[i] & 0x7F) << (7 * (i - 1));
        if (trace->head[i] < 0x80) break;
    }
    return value;
}

static void write_record(const tern__trace *trace, const tern__log *log, const char *verb, uint32_t rest)
{
    unsigned type = trace->head[0] >> 4;
    unsigned head = head_len(trace);
    char detail[64] = "";
    if (type == TERN__PUBLISH) {
        snprintf(detail, sizeof detail, " at QoS %u%s%s", trace->head[0] >> 1 & 3u, trace->head[0] & 8 ? ", repeated" : "",
                 trace->head[0] & 1 ? ", retained" : "");
    } else if (rest >= 2 && type >= TERN__PUBACK && type <= TERN__UNSUBACK) {
        snprintf(detail, sizeof detail, " of packet id %u", (unsigned)(trace->head[head] << 8 | trace->head[head + 1]));
    }
    tern__log_write(log, TERN_LOG_TRACE, "%s %s%s, %lu bytes", verb, names[type], detail, (unsigned long)rest + head);
}

/* As much of a packet's start as a record needs: its fixed header and two bytes more, where it has them. */
static bool is_complete(const tern__trace *trace)
{
    unsigned head = head_len(trace);
    if (head == 0) return false;
    uint32_t rest = remaining(trace);
    return trace->have >= head + (rest < 2 ? rest : 2) || trace->have == sizeof trace->head;
}

void tern__trace_bytes(tern__trace *trace, const tern__log *log, const char *verb, const uint8_t *data, size_t len)
{
    while (len != 0) {
        if (trace->skip != 0) {
            uint32_t n = len < trace->skip ? (uint32_t)len : trace->skip;
            trace->skip -= n;
            data += n;
            len -= n;
            continue;
        }
        trace->head[trace->have++] = *data++;
        len--;
        if (!is_complete(trace)) continue;
        uint32_t rest = remaining(trace);
        uint32_t seen = trace->have - head_len(trace);
        write_record(trace, log, verb, rest);
        trace->skip = rest > seen ? rest - seen : 0;
        trace->have = 0;
    }
}

void tern__trace_pieces(tern__trace *trace, const tern__log *log, const char *verb, const tern__iov *pieces, size_t n)
{
    for (; n != 0; pieces++) {
        size_t part = pieces->len < n ? pieces->len : n;
        tern__trace_bytes(trace, log, verb, pieces->data, part);
        n -= part;
    }
}
