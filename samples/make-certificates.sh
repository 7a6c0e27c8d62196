#!/usr/bin/env bash
# Makes a certificate authority and a server's certificate for localhost and 127.0.0.1, for trying TLS out:
# make-certificates.sh FOLDER writes ca.pem, ca.key, server.pem and server.key. They are valid for a week.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
folder=$1
log=$(mktemp)
trap 'rm -f "$log" "$folder/server.csr" "$folder/server.ext"' EXIT
run() { openssl "$@" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }; }

key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
run req -x509 "${key[@]}" -keyout "$folder/ca.key" -out "$folder/ca.pem" -subj "/CN=Tern trial authority" -days 7
run req "${key[@]}" -keyout "$folder/server.key" -out "$folder/server.csr" -subj "/CN=localhost"
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' >"$folder/server.ext"
run x509 -req -in "$folder/server.csr" -CA "$folder/ca.pem" -CAkey "$folder/ca.key" -CAcreateserial \
    -out "$folder/server.pem" -days 7 -extfile "$folder/server.ext"
rm -f "$folder/ca.srl"
