#!/usr/bin/env bash
# Installs a build into a folder and links a stranger's program with it in each way that is documented; then the package.
# Usage: installed.sh SOURCE BUILD PREFIX
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
source=$1
build=$2
prefix=$3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

rm -rf "$prefix"
cmake --install "$build" --prefix "$prefix" >/dev/null
libdir=$(dirname "$(find "$prefix" -name libtern.a)")
# pkg-config takes the prefix from the file; the build was configured for another one.
sed "s|^prefix=.*|prefix=$prefix|" "$libdir/pkgconfig/tern.pc" >"$scratch/tern.pc"
export PKG_CONFIG_PATH=$scratch

echo "-- pkg-config, shared"
read -r -a flags <<<"$(pkg-config --cflags --libs tern)"
cc -std=c99 "$here/consumer.c" "${flags[@]}" -o "$scratch/shared"
LD_LIBRARY_PATH=$libdir "$scratch/shared"
# Whole texts, not pipes: a reader that stops early would fail the writer.
headers=$(objdump -p "$libdir/libtern.so")
symbols=$(objdump -T "$libdir/libtern.so")
grep -q 'SONAME *libtern.so.0' <<<"$headers"

echo "-- hardened"
grep -q RELRO <<<"$headers"
grep -Eq '^ *FLAGS +0x0*[0-9a-f]*[89a-f]$' <<<"$headers" # DF_BIND_NOW
grep -q __stack_chk_fail <<<"$symbols"
grep -q __snprintf_chk <<<"$symbols"

echo "-- pkg-config, static"
read -r -a flags <<<"$(pkg-config --static --cflags --libs tern)"
flags=("${flags[@]/#-ltern/-Wl,-Bstatic,-ltern,-Bdynamic}") # not all that it needs comes as an archive
cc -std=c99 "$here/consumer.c" "${flags[@]}" -o "$scratch/static"
"$scratch/static"

echo "-- find_package, both targets"
mkdir "$scratch/find"
cp "$here/consumer.c" "$scratch/find"
cat >"$scratch/find/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.22)
project(consumer C)
find_package(Tern 0.1 REQUIRED)
add_executable(shared consumer.c)
target_link_libraries(shared PRIVATE Tern::tern)
add_executable(static consumer.c)
target_link_libraries(static PRIVATE Tern::tern_static)
CMAKE
cmake -G Ninja -S "$scratch/find" -B "$scratch/find/build" -DCMAKE_PREFIX_PATH="$prefix" >/dev/null
cmake --build "$scratch/find/build" >/dev/null
"$scratch/find/build/shared"
"$scratch/find/build/static"

echo "-- add_subdirectory"
mkdir "$scratch/sub"
cp "$here/consumer.c" "$scratch/sub"
cat >"$scratch/sub/CMakeLists.txt" <<CMAKE
cmake_minimum_required(VERSION 3.22)
project(consumer C)
add_subdirectory("$source" tern)
add_executable(consumer consumer.c)
target_link_libraries(consumer PRIVATE Tern::tern)
CMAKE
cmake -G Ninja -S "$scratch/sub" -B "$scratch/sub/build" >/dev/null
cmake --build "$scratch/sub/build" --target consumer >/dev/null
"$scratch/sub/build/consumer"

if command -v dpkg-deb >/dev/null 2>&1; then
    echo "-- the .deb"
    (cd "$build" && cpack -G DEB -B "$scratch/deb" >/dev/null)
    dpkg-deb -x "$scratch"/deb/*.deb "$scratch/root"
    inside=$(dirname "$(find "$scratch/root" -name libtern.a)")
    cc -std=c99 -I"$scratch/root/usr/include" "$here/consumer.c" -L"$inside" -ltern -o "$scratch/packaged"
    LD_LIBRARY_PATH=$inside "$scratch/packaged"
    test -x "$scratch/root/usr/bin/tern-pub"
fi
