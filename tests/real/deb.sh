#!/usr/bin/env bash
# Builds the Debian package and installs it in a container that systemd runs: nothing is enabled; gateway and client,
# once configured, start as the package's units, another client joins with a token, curl gets through both; an update
# leaves them running; and removing and purging the package leaves what is its owner's.
#
# Needs root and systemd on Debian or Ubuntu, and cargo-deb (packaging/deb installs it); downloads no image: the
# container is a layer above this machine's files, with a network, processes and control groups of its own. Where
# systemd cannot run so, the units' commands are started by hand, and the script says that. ANYPROXY names a program to
# pack instead of compiling one.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH=$PATH:/usr/sbin:/sbin
needed=(systemd-analyze:systemd unshare:util-linux ip:iproute2 curl:curl pgrep:procps busybox:busybox-static hostname:hostname)
missing=()
for each in "${needed[@]}"; do command -v "${each%%:*}" >/dev/null || missing+=("${each##*:}"); done
[ ${#missing[@]} -eq 0 ] ||
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; }

packaging/deb
package=$(find target/debian -name 'anyproxy_*.deb' -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-)

dir=$(mktemp -d)
box=
. tests/real/deb/container.sh
finish() {
    status=$?
    trap - EXIT INT TERM
    end_container
    rm -rf "$dir"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

# What the container gets from here.
mkdir "$dir/test"
cp "$package" "$dir/test/anyproxy.deb"
cp tests/real/deb/inside.sh configs/gateway.toml "$dir/test/"
start_container
for part in installed started joined updated removed; do
    printf '\n== %s\n' "$part"
    within env MANAGER="$manager" bash -euo pipefail /test/inside.sh "$part"
done
echo
echo "package: ok ($manager)"
