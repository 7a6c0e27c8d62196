# Sourced by the scripts: installs Debian or Ubuntu packages that are missing, without letting any of them start a service.
# SPDX-License-Identifier: Apache-2.0

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# forbid_services: packages ask /usr/sbin/policy-rc.d whether they may start what they bring; 101 is "no".
forbid_services() {
    policy=/usr/sbin/policy-rc.d
    kept=
    if as_root test -e "$policy"; then
        kept=$policy.kept-by-tern
        as_root mv "$policy" "$kept"
    fi
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
}

allow_services() {
    as_root rm -f "$policy"
    [ -z "$kept" ] || as_root mv "$kept" "$policy"
}

# install_missing PACKAGE...: does nothing where all of them are there.
install_missing() {
    missing=
    for package in "$@"; do
        state=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) || state=
        case "$state" in
        *' installed') ;;
        *) missing="$missing $package" ;;
        esac
    done
    [ -n "$missing" ] || return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "these packages are missing and there is no apt-get to install them:$missing" >&2
        return 1
    fi
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null 2>&1; then
        echo "these packages are missing; run as root, or with sudo installed:$missing" >&2
        return 1
    fi
    echo "installing:$missing"
    forbid_services
    trap 'allow_services' EXIT
    result=0
    # shellcheck disable=SC2086 # a list of words
    {
        as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
            as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
    } >/dev/null || result=$?
    allow_services
    trap - EXIT
    return "$result"
}
