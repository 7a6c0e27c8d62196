/* Runs seeds of the simulation: sim_outcomes [--seeds N] [--first S] [--trace] [--sabotage]. A failing seed prints the clause
 * that was broken and how to run it again.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/sim.h"

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int run_seeds(const char *program, uint64_t first, uint64_t count, bool tracing)
{
    uint64_t connections = 0, messages = 0, virtual_us = 0;
    double start = seconds();
    for (uint64_t seed = first; seed < first + count; seed++) {
        sim_result result;
        sim_run(seed, SABOTAGE_NONE, tracing, &result);
        connections += result.connections;
        messages += result.messages;
        virtual_us += result.virtual_us;
        if (!result.failed) continue;
        printf("seed %llu: [%s] %s\nrun it again: %s --first %llu --seeds 1 --trace\n", (unsigned long long)seed,
               result.clause, result.what, program, (unsigned long long)seed);
        return 1;
    }
    double took = seconds() - start;
    printf("%llu seeds from %llu: %llu connections, %llu messages, %.0f virtual hours; %.1f s, %.0f connections a second\n",
           (unsigned long long)count, (unsigned long long)first, (unsigned long long)connections,
           (unsigned long long)messages, (double)virtual_us / 3.6e9, took, (double)connections / took);
    return 0;
}

/* Each lie must be found, and the same seed must give the same bytes. */
static int run_sabotage(void)
{
    enum { TRIES = 50 };
    sim_result once, again;
    for (uint64_t seed = 1; seed <= TRIES; seed++) {
        sim_run(seed, SABOTAGE_NONE, false, &once);
        sim_run(seed, SABOTAGE_NONE, false, &again);
        if (once.trace == again.trace && once.virtual_us == again.virtual_us) continue;
        printf("seed %llu went differently the second time\n", (unsigned long long)seed);
        return 1;
    }
    for (int lie = SABOTAGE_NONE + 1; lie < SABOTAGE_KINDS; lie++) {
        const sabotage_kind *kind = &sabotage_kinds[lie];
        bool is_its_own_mark = lie == SABOTAGE_MUTE || lie == SABOTAGE_UNBOUNDED; /* of which the run does not say that it was */
        int found = 0;
        int otherwise = 0; /* by another clause, which was broken first */
        int told = 0;
        for (uint64_t seed = 1; seed <= TRIES; seed++) {
            sim_run(seed, (sabotage)lie, false, &once);
            bool is_found = once.failed && (kind->clause == NULL || strcmp(kind->clause, once.clause) == 0);
            if (is_found && found++ == 0) printf("%-16s [%s] %s\n", kind->name, once.clause, once.what);
            otherwise += once.failed && !is_found;
            told += once.lies != 0 || is_its_own_mark;
        }
        printf("%-16s found in %d of %d runs, and by another clause in %d\n", kind->name, found, told, otherwise);
        if (found < 3 || found * 4 < told) return 1; /* some vanish in a lost session */
    }
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t count = 2000, first = 1;
    bool tracing = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--sabotage") == 0) return run_sabotage();
        if (strcmp(argv[i], "--trace") == 0) {
            tracing = true;
        } else if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc) {
            count = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--first") == 0 && i + 1 < argc) {
            first = strtoull(argv[++i], NULL, 10);
        } else {
            fprintf(stderr, "usage: %s [--seeds N] [--first S] [--trace] | --sabotage\n", argv[0]);
            return 2;
        }
    }
    return run_seeds(argv[0], first, count, tracing);
}
