#!/usr/bin/env bash
# The soak: mixed traffic through the built program for as long as is asked for, with faults injected.
#
#   tests/real/soak.sh [--seconds 600] [--seed 1] [--out DIR]
#
# A network of its own (namespaces), so it runs as root. Installs nftables and iproute2 from Debian where they are
# absent. ANYPROXY names the program to test (default: target/release/anyproxy). docs/resilience.md says what it judges.
set -euo pipefail
cd "$(dirname "$0")/../.."

missing=()
for each in nft:nftables ip:iproute2 ss:iproute2; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${each%%:*}" >/dev/null || missing+=("${each##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

export ANYPROXY=${ANYPROXY:-$PWD/target/release/anyproxy}
export PATH=$PATH:/usr/sbin:/sbin PYTHONPATH=$PWD/tests/real PYTHONDONTWRITEBYTECODE=1
exec python3 -m soak "$@"
