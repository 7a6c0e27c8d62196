#!/usr/bin/env bash
# Makes what tests of TLS need in a folder: certs.sh FOLDER. Keys are EC P-256, nothing outlives the tests' folder.
#
# root.pem signs intermediate.pem, which signs servers and clients; wrong.pem is an authority that nobody trusts. A server's file
# NAME.pem holds its certificate and the intermediate one, in this order, and all servers share server.key:
#   good         DNS:localhost IP:127.0.0.1 IP:::1        wild        DNS:*.example.test
#   expired      as good, until 2021                      wild_deep   DNS:*.b.example.test
#   early        as good, from 2090 on                    wild_part   DNS:a*.example.test
#   other_name   DNS:elsewhere.test                       wild_top    DNS:*.test
#   common_name  CN=localhost, no other name              purpose     as good, for clients only
#   address      IP:127.0.0.1 IP:::1                      nul_name    "localhost", a NUL, "elsewhere.test"
#   self_signed  as good, by itself                       wrong_ca    as good, by wrong.pem
#   revoked      as good, on crl.pem                      broken      good without the intermediate
# Trust: root.pem, all.pem (root and intermediate), trust/ (hashed names), crl.pem (of both authorities), crl_old.pem (over since 2021).
# Answers to be stapled: ocsp_good.der, ocsp_revoked.der.
# Clients share client.key, encrypted in client_enc.key with what client_password holds: client.pem, client_expired.pem,
# client_revoked.pem (on crl.pem), client_wrong.pem (by wrong.pem). psk: a file for mosquitto; other.key belongs to none of them.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
export LC_ALL=C # where [A-F] is no lower-case letter
cd "$1"
umask 077
mkdir -p trust
log=openssl.log
run() { openssl "$@" >"$log" 2>&1 || { echo "openssl $*" >&2; cat "$log" >&2; exit 1; }; }

# ---- what openssl ca is told of three authorities ----

cat >ca.cnf <<'END'
[req]
distinguished_name = name
prompt = no
[name]
CN = unused
[policy]
commonName = supplied
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign,digitalSignature
subjectKeyIdentifier = hash
[server]
basicConstraints = CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost,IP:127.0.0.1,IP:::1
[client]
basicConstraints = CA:FALSE
extendedKeyUsage = clientAuth
[purpose]
extendedKeyUsage = clientAuth
subjectAltName = DNS:localhost,IP:127.0.0.1,IP:::1
[common_name]
extendedKeyUsage = serverAuth
[other_name]
subjectAltName = DNS:elsewhere.test
[address]
subjectAltName = IP:127.0.0.1,IP:::1
[wild]
subjectAltName = DNS:*.example.test
[wild_deep]
subjectAltName = DNS:*.b.example.test
[wild_part]
subjectAltName = DNS:a*.example.test
[wild_top]
subjectAltName = DNS:*.test
[nul_name]
# A sequence with one dNSName: what stands before the NUL is not the name.
2.5.29.17 = DER:30:1a:82:18:6c:6f:63:61:6c:68:6f:73:74:00:65:6c:73:65:77:68:65:72:65:2e:74:65:73:74
END
for authority in root intermediate wrong; do
    : >"$authority.index"
    cat >>ca.cnf <<END
[$authority]
database = $authority.index
certificate = $authority.pem
private_key = $authority.key
new_certs_dir = .
rand_serial = yes
unique_subject = no
default_md = sha256
default_days = 30
default_crl_days = 30
policy = policy
END
done

# ---- authorities and keys ----

key() { run genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }
# sign AUTHORITY REQUEST NAME COMMON-NAME EXTENSIONS [OPTION...]: makes NAME.pem.
sign() {
    run ca -batch -notext -config ca.cnf -name "$1" -in "$2" -out "$3.pem" -subj "/CN=$4" -extensions "$5" "${@:6}"
}
# chained NAME: what a server or client shows is its certificate and the intermediate one.
chained() { cat intermediate.pem >>"$1.pem"; }

for name in root intermediate wrong server client other; do key "$name.key"; done
for name in intermediate server client; do
    run req -new -config ca.cnf -key "$name.key" -out "$name.csr"
done
run req -x509 -config ca.cnf -key root.key -out root.pem -subj "/CN=Test root" -extensions authority -days 30
run req -x509 -config ca.cnf -key wrong.key -out wrong.pem -subj "/CN=Wrong authority" -extensions authority -days 30
sign root intermediate.csr intermediate "Test intermediate" authority
run pkcs8 -topk8 -in client.key -out client_enc.key -passout pass:sesame
printf 'sesame\n' >client_password

# ---- servers ----

sign intermediate server.csr good localhost server
cp good.pem broken.pem
chained good
sign intermediate server.csr expired localhost server -startdate 20200101000000Z -enddate 20210101000000Z
sign intermediate server.csr early localhost server -startdate 20900101000000Z -enddate 20910101000000Z
sign intermediate server.csr revoked localhost server
cp revoked.pem revoked_alone.pem
for name in common_name purpose other_name address wild wild_deep wild_part wild_top nul_name; do
    subject="server $name"
    [ "$name" != common_name ] || subject=localhost
    sign intermediate server.csr "$name" "$subject" "$name"
    chained "$name"
done
for name in expired early revoked; do chained "$name"; done
run req -x509 -config ca.cnf -key server.key -out self_signed.pem -subj "/CN=localhost" -extensions server -days 30
sign wrong server.csr wrong_ca localhost server

# ---- clients ----

sign intermediate client.csr client device client
sign intermediate client.csr client_expired device client -startdate 20200101000000Z -enddate 20210101000000Z
sign intermediate client.csr client_revoked device client
cp client_revoked.pem client_revoked_alone.pem
for name in client client_expired client_revoked; do chained "$name"; done
sign wrong client.csr client_wrong device client
printf 'device:c0ffee0123456789\n' >psk

# ---- trust and revocation ----

revoke() { run ca -config ca.cnf -name intermediate -revoke "$1"; }
revoke revoked_alone.pem
revoke client_revoked_alone.pem
run ca -config ca.cnf -name root -gencrl -out crl_root.pem
run ca -config ca.cnf -name intermediate -gencrl -out crl_intermediate.pem
cat crl_intermediate.pem crl_root.pem >crl.pem
run ca -config ca.cnf -name intermediate -gencrl -out crl_old.pem \
    -crl_lastupdate 20200101000000Z -crl_nextupdate 20210101000000Z
cat root.pem intermediate.pem >all.pem
cp root.pem trust/root.pem
run rehash trust

# staple ANSWER CERTIFICATE: what the authority says of it. It signs with its own certificate.
staple() {
    run ocsp -issuer intermediate.pem -cert "$2" -no_nonce -reqout ocsp.req
    run ocsp -index intermediate.index -CA intermediate.pem -rsigner intermediate.pem -rkey intermediate.key \
        -reqin ocsp.req -ndays 7 -respout "$1"
}
staple ocsp_good.der broken.pem
staple ocsp_revoked.der revoked_alone.pem

# What openssl ca leaves, and what only this script needed.
rm -f [0-9A-F]*.pem ./*.csr ./*.index* ./*.cnf ocsp.req "$log" ./*_alone.pem crl_root.pem crl_intermediate.pem
