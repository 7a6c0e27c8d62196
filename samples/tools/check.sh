#!/usr/bin/env bash
# The programs against a broker: check.sh TERN_PUB TERN_SUB TERN_DOCTOR URL (with-broker.sh gives the URL).
# SPDX-License-Identifier: Apache-2.0
set -uo pipefail
pub=$1
sub=$2
doctor=$3
url=$4
scratch=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$scratch"' EXIT
failed=0

# expect STATUS NAME COMMAND...: the command ends with that status.
expect() {
    local want=$1 name=$2 got=0
    shift 2
    "$@" >"$scratch/out" 2>"$scratch/err" </dev/null || got=$?
    [ "$got" -eq "$want" ] && return
    echo "FAILED $name: status $got, not $want"
    sed 's/^/    /' "$scratch/out" "$scratch/err"
    failed=1
}

# says TEXT: the last command's standard error holds it.
says() {
    grep -q -- "$1" "$scratch/err" || { echo "FAILED: no \"$1\" in: $(cat "$scratch/err")"; failed=1; }
}

expect 0 help "$pub" --help
expect 0 version "$sub" --version
expect 1 'no topic' "$pub" -m x "$url"
says 'TOPIC'
expect 1 'no message' "$pub" -t a "$url"
expect 1 'unknown option' "$pub" --no-such-option
expect 1 'QoS 3' "$pub" -t a -m x -q 3 "$url"
expect 1 'bad port' "$pub" -t a -m x -p 70000
expect 1 'bad topic' "$pub" -t 'a/#' -m x "$url"
expect 1 'bad filter' "$sub" -t 'a/#/b' "$url"
for given in mqtt://me:sesame@localhost:99999 'mqtt://me:ses ame@localhost' gopher://me:sesame@localhost 'mqtt://me:sesame/ame@localhost'; do
    expect 1 "a bad URL with a password" "$pub" -t a -m x "$given"
    says 'cannot use the server: position'
    ! grep -q 'sesame\|ses ame' "$scratch/out" "$scratch/err" || { echo "FAILED: a bad URL shows a password: $(cat "$scratch/err")"; failed=1; }
done
expect 1 'a topic URL without topic' "$pub" -m x -L mqtt://me:sesame@localhost
says 'mqtt://host/topic$'
expect 1 'half a pre-shared key' "$pub" -t a -m x --psk c0ffee "$url"
says '--psk and --psk-identity belong together'
expect 1 'a key that is none' "$pub" -t a -m x --psk c0f --psk-identity me "$url"
expect 1 'a key without certificate' "$pub" -t a -m x --key key.pem "$url"
if [[ $("$pub" -t a -m x "${url/mqtt:/mqtts:}" 2>&1 -W 1 </dev/null) != *'needs TLS'* ]]; then
    expect 1 'an unknown cipher' "$pub" -t a -m x --ciphers no-such-cipher "$url"
    says '--ciphers'
    expect 2 'no such CA file' "$pub" -t a -m x --cafile no-such.pem "${url/mqtt:/mqtts:}"
    says 'no-such.pem: No such file'
    says 'check the path'
    expect 2 'an untrusted or plain server' "$doctor" "${url/mqtt:/mqtts:}"
fi
expect 1 'a proxy without host' "$pub" -t a -m x --proxy socks5:// "$url"
says '--proxy: position'
expect 1 "a proxy's bad port" "$pub" -t a -m x --proxy http://me:sesame@localhost:0 "$url"
says '--proxy: position'
! grep -q sesame "$scratch/err" || { echo "FAILED: a bad proxy shows a password"; failed=1; }
expect 2 'a doctor for a name that does not exist' "$doctor" mqtt://no-such-host.invalid
expect 0 'a doctor for a server that is well' "$doctor" -u me -P sesame "$url"
for found in 'addresses ' 'tcp .*open' 'mqtt .*MQTT 5 accepted' 'limit .*maximum_qos: 2'; do
    grep -q "$found" "$scratch/out" || { echo "FAILED: the doctor does not say \"$found\""; failed=1; }
done
! grep -q sesame "$scratch/out" "$scratch/err" || { echo "FAILED: the doctor prints a password"; failed=1; }
expect 1 'unknown scheme' "$pub" -t a -m x gopher://localhost
expect 2 'a name that does not exist ends at once' timeout 30 "$pub" -t a -m x -W 60 mqtt://no-such-host.invalid
says 'no-such-host.invalid'
expect 27 'nobody there, -W' "$pub" -t a -m x -q 1 -W 1 mqtt://127.0.0.1:1
says 'refused'
expect 2 'a signal before all is delivered' timeout --preserve-status -s INT 1 "$pub" -t a -m x -q 1 mqtt://127.0.0.1:1
expect 27 'nothing comes, -W' "$sub" -t nothing/comes -W 1 "$url"
for qos in 0 1 2; do
    expect 0 "publish at QoS $qos" "$pub" -t "cli/$qos" -m hello -q "$qos" "$url"
done

# Retained messages come without waiting for anybody.
expect 0 'retain' "$pub" -t cli/kept -m 'kept text' -q 1 -r "$url"
expect 0 'receive' "$sub" -t 'cli/kept' -C 1 -W 20 -v "$url"
[ "$(cat "$scratch/out")" = 'cli/kept kept text' ] || { echo "FAILED receive: $(cat "$scratch/out")"; failed=1; }
printf 'a\0b' >"$scratch/binary"
expect 0 'file' "$pub" -t cli/binary -f "$scratch/binary" -q 1 -r "$url"
"$sub" -t cli/binary -C 1 -W 20 -q 1 "$url" >"$scratch/got"
printf 'a\0b\n' | cmp -s - "$scratch/got" || { echo 'FAILED binary payload'; failed=1; }

# Lines, in order: the subscriber is there when its own retained message came.
"$sub" -t 'cli/kept' -t 'cli/lines' -C 1001 -W 30 -q 1 "$url" >"$scratch/lines" &
subscriber=$!
for _ in $(seq 500); do
    [ -s "$scratch/lines" ] && break
    read -r -t 0.02 <> <(:) || true
done
seq 1000 | "$pub" -t cli/lines -l -q 1 -W 30 "$url" || { echo "FAILED lines: status $?"; failed=1; }
wait "$subscriber" || { echo "FAILED subscriber of lines: status $?"; failed=1; }
tail -n +2 "$scratch/lines" | cmp -s - <(seq 1000) || { echo 'FAILED lines: not in order, or not all'; failed=1; }
[ "$failed" -eq 0 ] && echo 'all command-line cases passed'
exit "$failed"
