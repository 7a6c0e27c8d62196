#!/usr/bin/env bash
# Runs the sample azure against a stand-in for the service, and looks at what both say: with-azure.sh PROGRAM SERVICE. Status 77:
# there is no python3 or openssl.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
for needed in python3 openssl; do
    command -v "$needed" >/dev/null || { echo "skipped: $needed is not installed"; exit 77; }
done
scratch=$(mktemp -d)
pid=
cleanup() {
    [ -z "$pid" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null || true
    rm -rf "$scratch"
}
trap cleanup EXIT
"$(dirname "${BASH_SOURCE[0]}")/make-certificates.sh" "$scratch"
key=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=
python3 "$2" "$scratch/server.pem" "$scratch/server.key" contoso.azure-devices.net MyDevice01 "$key" >"$scratch/log" 2>&1 &
pid=$!
for _ in $(seq 500); do
    port=$(sed -n 's/^port //p' "$scratch/log")
    [ -z "$port" ] || break
    sleep 0.02
done
"$1" "HostName=contoso.azure-devices.net;DeviceId=MyDevice01;SharedAccessKey=$key" "mqtts://localhost:$port" \
    "$scratch/ca.pem" | tee "$scratch/output"
cat "$scratch/log"
grep -q '^event \$.ct=application%2Fjson&\$.ce=utf-8 {"temperature": 25.5' "$scratch/log"
grep -q '^twin: .*"firmware": 3' "$scratch/output"
