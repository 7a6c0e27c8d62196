#!/usr/bin/env bash
# Runs a program against a mosquitto of its own: with-broker.sh PROGRAM [ARG...] gets the broker's URL as its last argument;
# with-broker.sh --quickstart PROGRAM [--tls | --wss] starts its broker by itself. Status 77: there is no mosquitto.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
mosquitto=$(PATH=$PATH:/usr/sbin:/usr/local/sbin command -v mosquitto) || {
    echo "skipped: mosquitto is not installed"
    exit 77
}
scratch=$(mktemp -d)
pid=
cleanup() {
    [ -z "$pid" ] || { kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; } || true
    rm -rf "$scratch"
}
trap cleanup EXIT

if [ "$1" = --quickstart ]; then
    [ $# -eq 2 ] || "$(dirname "${BASH_SOURCE[0]}")/make-certificates.sh" "$scratch"
    "$2" "$mosquitto" "$scratch" "${@:3}"
    exit
fi

accepts() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A port that was free a moment ago may be taken by now: then another one is tried.
for attempt in 1 2 3 4 5 6 7 8; do
    port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
    accepts "$port" && continue
    {
        echo "listener $port 127.0.0.1"
        echo "allow_anonymous true"
        echo "max_queued_messages 0"
        [ "$(id -u)" -ne 0 ] || echo "user root"
    } >"$scratch/mosquitto.conf"
    "$mosquitto" -c "$scratch/mosquitto.conf" >"$scratch/log" 2>&1 &
    pid=$!
    for _ in $(seq 500); do
        accepts "$port" && break 2
        kill -0 "$pid" 2>/dev/null || break
        read -r -t 0.01 <> <(:) || true
    done
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    pid=
done
[ -n "$pid" ] || { cat "$scratch/log"; exit 1; }
"$@" "mqtt://127.0.0.1:$port"
