#!/usr/bin/env bash
# Compiles the program for 64-bit ARM as Dockerfile does, with the toolchain of docker/toolchain.sh, and runs it: `demo
# --once` moves data over both transports through every ingress. On another kind of machine the compiled program runs
# under qemu's emulation of system calls; nothing else is emulated.
#
# Needs root and rustup; installs the cross compiler and qemu from Debian where they are absent. A development build:
# a release build differs in speed, not in what compiles. ANYPROXY_ARM64 names a program that is compiled already.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=$(dpkg --print-architecture) run=()
if [ "$here" != arm64 ]; then
    command -v qemu-aarch64-static >/dev/null ||
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends qemu-user-static >/dev/null; }
    # The C library of the cross compiler.
    run=(qemu-aarch64-static -L /usr/aarch64-linux-gnu)
fi
program=${ANYPROXY_ARM64:-}
if [ -z "$program" ]; then
    mkdir -p target
    TOOLCHAIN_ENV=$PWD/target/arm64.env sh docker/toolchain.sh "$here" arm64
    # shellcheck source=/dev/null
    . target/arm64.env
    CARGO_PROFILE_DEV_DEBUG=0 cargo build --locked --package anyproxy
    program=target/aarch64-unknown-linux-gnu/debug/anyproxy
fi
kind=$(od -An -tu2 -j18 -N2 "$program" | tr -d ' ')
[ "$kind" = 183 ] || { echo "$program is for machine $kind, not for 64-bit ARM (183)"; exit 1; }
"${run[@]}" "$program" --version
"${run[@]}" "$program" --log-level warn demo --once
echo "arm64: ok"
