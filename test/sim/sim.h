/* A simulation: engines and a broker model over lossy links, on virtual time, from one seed.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TEST_SIM_SIM_H
#define TERN_TEST_SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/oracle.h"

typedef struct sim_result {
    bool failed;
    char clause[32];
    char what[300];
    uint64_t connections; /* that got as far as a CONNACK */
    uint64_t messages;    /* accepted */
    uint64_t trace;       /* hash of everything that went over the links: the same seed gives the same */
    uint64_t virtual_us;
    uint32_t lies;        /* of the sabotage */
} sim_result;

/* Runs one seed. `tracing`: prints each step. */
void sim_run(uint64_t seed, sabotage lie, bool tracing, sim_result *result);

#endif
