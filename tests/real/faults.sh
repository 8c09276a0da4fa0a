#!/usr/bin/env bash
# Faults of the network and of the programs, with the real program in network namespaces: what users see, how long it
# lasts, and whether memory, descriptors and threads return.
#
#   tests/real/faults.sh [-l] [-j JOBS] [--report FILE] [row…]
#
# Needs root. Installs what it uses from Debian where that is absent. ANYPROXY names the program to test (default:
# target/release/anyproxy). Everything is in namespaces that are named after this process and go with it.
set -euo pipefail
cd "$(dirname "$0")/../.."

# Command and the package that has it.
needed=(curl:curl ip:iproute2 nft:nftables conntrack:conntrack ethtool:ethtool nsenter:util-linux prlimit:util-linux
    openssl:openssl sysctl:procps)
missing=()
for each in "${needed[@]}"; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${each%%:*}" >/dev/null || missing+=("${each##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

export FAULTS_PREFIX=apf$$ PYTHONPATH=tests/real PYTHONDONTWRITEBYTECODE=1 PATH=$PATH:/usr/sbin:/sbin
finish() {
    if kill "$main" 2>/dev/null; then wait "$main" || :; fi
    # What is left when the program was killed: the processes of its namespaces, then those.
    for each in $(ip netns list | awk -v p="^${FAULTS_PREFIX}n" '$1 ~ p { print $1 }'); do
        for pid in $(ip netns pids "$each"); do kill -9 "$pid" 2>/dev/null || :; done
        ip netns del "$each" || :
    done
}
python3 -m faults "$@" &
main=$!
trap finish EXIT
trap 'exit 130' INT TERM
wait "$main"
