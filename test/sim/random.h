/* Randomness of a simulation: all of it comes from one seed.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TEST_SIM_RANDOM_H
#define TERN_TEST_SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

typedef struct sim_random {
    uint64_t state;
} sim_random;

static inline uint64_t sim_next(sim_random *r)
{
    uint64_t z = r->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

/* 0 .. bound - 1; 0 for a bound of 0. */
static inline uint32_t sim_below(sim_random *r, uint32_t bound)
{
    return bound != 0 ? (uint32_t)(sim_next(r) % bound) : 0;
}

static inline bool sim_chance(sim_random *r, uint32_t percent)
{
    return sim_below(r, 100) < percent;
}

#endif
