#!/usr/bin/env bash
# Builds the benchmarks and measures pools of 1, 2, 5 and 10 connections against a mosquitto of its own, and batches of 1, 10 and 100 messages
# against the sink; prints tables. With TERN_BENCH_CLUSTER=1 pools go to three nodes of RabbitMQ too, which have to be installed.
# Usage: layers.sh [SECONDS for each figure, default 2]
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/build.sh"
seconds=${1:-2}

# With a URL behind the seconds it is the inner half, which samples/with-broker.sh runs with its broker.
if [[ $# -ge 2 ]]; then
    name=mosquitto
    case "$2" in *,*) name='three nodes of RabbitMQ' ;; esac
    printf '\nPools against %s, 256 bytes, 64 topics:\n\n| members | QoS | messages a second |\n|---|---|---|\n' "$name"
    for qos in 0 1; do
        for members in 1 2 5 10; do "$bin/bench_layers" pool "$2" "$members" "$qos" "$seconds"; done
    done
    exit
fi
mkdir -p "$build"
bench_build mosquitto
"$root/samples/with-broker.sh" "$root/test/bench/layers.sh" "$seconds"
if [ -n "${TERN_BENCH_CLUSTER:-}" ]; then
    python3 "$root/test/full/rabbitmq.py" "$build/rabbitmq" "$root/test/bench/layers.sh" "$seconds"
fi
exec {sink}< <(exec "$bin/bench_sink")
sink_pid=$!
trap 'kill "$sink_pid" 2>/dev/null || true' EXIT
read -r port <&"$sink"
printf '\nBatches against the sink, QoS 1, readings of 4 bytes (1: plain publishing):\n\n| messages a batch | messages a second | bytes sent a message |\n|---|---|---|\n'
for size in 1 10 100; do "$bin/bench_layers" batch "mqtt://127.0.0.1:$port" "$size" "$seconds"; done
