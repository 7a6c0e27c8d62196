#!/usr/bin/env bash
# Makes what the tests of TLS need in a folder: the trial authority with a server's certificate, a client's certificate with its key
# plain and encrypted (password sesame), and an authority that nobody here was signed by.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
folder=$1
"$(dirname "${BASH_SOURCE[0]}")/../../samples/make-certificates.sh" "$folder"
cd "$folder"
log=$(mktemp)
trap 'rm -f "$log" client.csr ca.srl' EXIT
run() { openssl "$@" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }; }
key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
run req "${key[@]}" -keyout client.key -out client.csr -subj "/CN=client"
run x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out client.pem -days 7
run pkcs8 -topk8 -in client.key -out client.enc.key -passout pass:sesame
run req -x509 "${key[@]}" -keyout other.key -out other.pem -subj "/CN=another authority" -days 7
echo 'device:c0ffee01' >psk
