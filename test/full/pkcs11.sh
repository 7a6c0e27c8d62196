#!/usr/bin/env bash
# A client's key that stays in a token: pkcs11.sh ROOT BIN FOLDER makes a token with SoftHSM, puts a key into it, and connects to a
# mosquitto that wants its certificate, with tern-pub of BIN. Exits with 77 where OpenSSL's provider for PKCS #11 cannot be had.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
root=$1
bin=$2
folder=$3
. "$root/samples/install-packages.sh"

# The provider is in Debian from 13 on, in 12 among the backports; those are looked into with lists of our own, so that the machine's
# sources stay as they are.
install_provider() {
    install_missing pkcs11-provider >/dev/null 2>&1 && return 0
    mkdir -p "$folder/apt/lists/partial" "$folder/apt/cache/archives/partial"
    . /etc/os-release
    echo "deb http://deb.debian.org/debian ${VERSION_CODENAME:-none}-backports main" >"$folder/apt/sources"
    local own=(-o "Dir::Etc::sourcelist=$folder/apt/sources" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$folder/apt/lists"
        -o "Dir::Cache=$folder/apt/cache")
    as_root apt-get "${own[@]}" update -qq >/dev/null 2>&1 &&
        (cd "$folder/apt" && apt-get "${own[@]}" download -qq pkcs11-provider >/dev/null 2>&1) &&
        as_root dpkg -i "$folder"/apt/pkcs11-provider_*.deb >/dev/null 2>&1
}

rm -rf "$folder"
mkdir -p "$folder/tokens" "$folder/certificates"
install_missing softhsm2 openssl mosquitto
install_provider || { echo "skipped: neither this system nor its backports have pkcs11-provider"; exit 77; }
provider=$(find /usr/lib -name pkcs11.so -path '*ossl-modules*' | head -n 1)
softhsm=$(find /usr/lib -name libsofthsm2.so | head -n 1)
[ -n "$provider" ] && [ -n "$softhsm" ] || { echo "the provider or SoftHSM is installed, and its library is not found"; exit 1; }

# ---- a token with the client's key, which is nowhere else then ----

"$root/test/support/certs.sh" "$folder/certificates"
export SOFTHSM2_CONF=$folder/softhsm.conf
printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' "$folder/tokens" >"$SOFTHSM2_CONF"
softhsm2-util --init-token --free --label tern --pin 4711 --so-pin 0815 >/dev/null
softhsm2-util --import "$folder/certificates/client.key" --token tern --label client --id 01 --pin 4711 >/dev/null
rm "$folder/certificates/client.key"
cat >"$folder/openssl.cnf" <<END
openssl_conf = init
[init]
providers = providers
[providers]
default = usual
pkcs11 = token
[usual]
activate = 1
[token]
module = $provider
pkcs11-module-path = $softhsm
# SoftHSM is gone before OpenSSL at the end of a process.
pkcs11-module-quirks = no-deinit
activate = 1
END

# ---- a broker that wants a certificate ----

cat >"$folder/mosquitto.conf" <<END
allow_anonymous true
$([ "$(id -u)" -ne 0 ] || echo 'user root')
END
port=
broker=
trap '[ -z "$broker" ] || kill "$broker" 2>/dev/null || true' EXIT
start_broker() {
    for _ in 1 2 3 4 5; do
        port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
        {
            echo "listener $port 127.0.0.1"
            echo "cafile $folder/certificates/all.pem"
            echo "certfile $folder/certificates/good.pem"
            echo "keyfile $folder/certificates/server.key"
            echo "require_certificate true"
        } >"$folder/listener.conf"
        cat "$folder/mosquitto.conf" "$folder/listener.conf" >"$folder/all.conf"
        PATH=$PATH:/usr/sbin mosquitto -c "$folder/all.conf" >"$folder/mosquitto.log" 2>&1 &
        broker=$!
        for _ in $(seq 500); do
            kill -0 "$broker" 2>/dev/null || break
            (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return 0
            read -rt 0.02 <> <(:) || true
        done
        kill "$broker" 2>/dev/null || true
    done
    cat "$folder/mosquitto.log"
    return 1
}
start_broker

# ---- what is tried: name, what it must say (empty: it works), key, PIN, OpenSSL's configuration ----

failed=0
try() {
    local name=$1 wanted=$2 key=$3 pin=$4 configuration=$5 status=0
    OPENSSL_CONF=$configuration timeout 60 "$bin/tern-pub" -L "mqtts://127.0.0.1:$port/pkcs11" --cafile "$folder/certificates/root.pem" \
        --cert "$folder/certificates/client.pem" --key "$key" --keypass "$pin" -q 1 -m hello >"$folder/said" 2>&1 || status=$?
    if [ -z "$wanted" ] && [ "$status" -eq 0 ]; then
        echo "ok: $name"
    elif [ -n "$wanted" ] && [ "$status" -ne 0 ] && grep -q -- "$wanted" "$folder/said" && ! grep -q 4711 "$folder/said"; then
        echo "ok: $name: $(head -n 1 "$folder/said")"
    else
        echo "failed: $name: status $status, wanted \"$wanted\""
        cat "$folder/said"
        failed=1
    fi
}
: >"$folder/empty.cnf"
try "a key in a token" "" "pkcs11:token=tern;object=client;type=private" 4711 "$folder/openssl.cnf"
try "a wrong PIN" "the private key by pkcs11 URI: there is no such key, or the PIN is wrong" "pkcs11:token=tern;object=client;type=private" 9999 "$folder/openssl.cnf"
try "a key that is not there" "the private key by pkcs11 URI: there is no such key" "pkcs11:token=tern;object=other;type=private" 4711 "$folder/openssl.cnf"
try "a token that is not there" "the private key by pkcs11 URI: there is no such key" "pkcs11:token=other;object=client;type=private" 4711 "$folder/openssl.cnf"
try "no provider" "the private key by pkcs11 URI: unregistered scheme" "pkcs11:token=tern;object=client;type=private" 4711 "$folder/empty.cnf"
exit "$failed"
