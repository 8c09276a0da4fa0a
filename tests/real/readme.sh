#!/usr/bin/env bash
# Runs every command of README.md as it stands there.
#
#   tests/real/readme.sh            needs root; installs what else it uses from Debian
#   tests/real/readme.sh --check    only whether each command has a test; runs nothing
#
# With ANYPROXY=PROGRAM, lines that compile take that program instead of compiling.
#
# In a network namespace of its own all ports are free and gw.example.com is here; a layer above the tree takes
# what the commands write. Both end with the script.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ "${1:-}" = --check ]; then exec python3 tests/real/readme --check; fi

missing=()
for each in curl:curl nc:netcat-openbsd make:make ip:iproute2 unshare:util-linux; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${each%%:*}" >/dev/null || missing+=("${each##*:}")
done
[ ${#missing[@]} -eq 0 ] ||
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; }

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# A layer cannot be above another layer of the kind that containers have.
mkdir "$dir/layers"
unshare --net --mount --pid --fork --kill-child --mount-proc bash -euc '
    dir=$1
    ip link set lo up
    ip address add 10.0.0.7/32 dev lo
    printf "127.0.0.1 localhost gw.example.com intranet.local\n::1 localhost\n" >"$dir/hosts"
    mount --bind "$dir/hosts" /etc/hosts
    mount -t tmpfs none "$dir/layers"
    mkdir "$dir/layers/upper" "$dir/layers/work"
    mount -t overlay overlay -o "lowerdir=$PWD,upperdir=$dir/layers/upper,workdir=$dir/layers/work" "$PWD"
    cd "$PWD"
    exec python3 tests/real/readme "$dir"' - "$dir"
