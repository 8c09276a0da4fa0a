#!/bin/sh
# Prepares cargo for compiling on one architecture for another: toolchain.sh BUILDARCH TARGETARCH, in
# Docker's names. Leaves the variables for cargo in /toolchain.env, or in TOOLCHAIN_ENV.
set -eu
env=${TOOLCHAIN_ENV:-/toolchain.env}

case $2 in
amd64) target=x86_64-unknown-linux-gnu compiler=x86_64-linux-gnu package=gcc-x86-64-linux-gnu ;;
arm64) target=aarch64-unknown-linux-gnu compiler=aarch64-linux-gnu package=gcc-aarch64-linux-gnu ;;
*)
    echo "no build for $2: amd64 and arm64 only" >&2
    exit 1
    ;;
esac

echo "export CARGO_BUILD_TARGET=$target" >"$env"
# The pages of the machine that runs it may be of 64 KiB; jemalloc asks the machine that compiles.
[ "$2" != arm64 ] || echo "export JEMALLOC_SYS_WITH_LG_PAGE=16" >>"$env"
[ "$1" != "$2" ] || exit 0

if ! command -v "$compiler-gcc" >/dev/null; then
    apt-get update
    apt-get install -y --no-install-recommends "$package" "libc6-dev-$2-cross"
    rm -rf /var/lib/apt/lists/*
fi
rustup target add "$target"
under=$(echo "$target" | tr - _)
cat >>"$env" <<END
export CC_$under=$compiler-gcc AR_$under=$compiler-ar
export CARGO_TARGET_$(echo "$under" | tr a-z A-Z)_LINKER=$compiler-gcc
END
