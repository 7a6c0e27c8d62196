/* What is behind tern_tls_options.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CLIENT_TLS_OPTIONS_H
#define TERN_CLIENT_TLS_OPTIONS_H

#include "transport/tls.h"

struct tern_tls_options {
    tern__tls_config config;
};

#endif
