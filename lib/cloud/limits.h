/* What a service refuses, refused before it is sent: a transform that changes nothing.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CLOUD_LIMITS_H
#define TERN_CLOUD_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <tern/types.h>

/* The limits of a service; copied. */
typedef struct tern__service_limits {
    const char *service;        /* its name; static */
    size_t maximum_bytes;       /* of topic and payload together; 0 any */
    size_t maximum_payload;     /* bytes; 0 any */
    size_t maximum_topic;       /* bytes; 0 any */
    unsigned maximum_slashes;   /* of a topic; 0 any */
    const char *free_prefix;    /* slashes of what begins so count from the fourth on; static, NULL none */
    int maximum_qos;
    bool retain;                /* whether messages may be retained */
    const char *const *topics;  /* what topics may begin with; NULL: any */
    size_t topic_count;
} tern__service_limits;

/* Makes the transform, the caller's to unref. 0 or TERN_E_NOMEM. */
int tern__service_limits_transform(tern_transform **transform, const tern__service_limits *limits);

#endif
