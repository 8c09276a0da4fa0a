#!/usr/bin/env bash
# `anyproxy doctor` on set-ups that only a real kernel shows: a firewall that drops or rejects UDP, links with a small MTU,
# small UDP buffers, a proxy that wants a log-in, a port that is taken, certificates that have expired, a clock that is a year
# off, and others. Of each: that the cause is named with what repairs it, in lines and in JSON, and the exit code.
#
#   tests/real/doctor.sh [-l] [-j JOBS] [set-up…]
#
# Needs root. Installs what it uses from Debian where that is absent. ANYPROXY names the program to test (default:
# target/release/anyproxy). Everything is in namespaces that go with this process, but for one setting of the
# kernel that belongs to the whole machine, net.core.rmem_max: the last set-up lowers it for seconds.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH=$PATH:/usr/sbin:/sbin

# Command and the package that has it.
needed=(ip:iproute2 nft:nftables ethtool:ethtool nsenter:util-linux ss:iproute2 openssl:openssl sysctl:procps
    tinyproxy:tinyproxy-bin busybox:busybox-static faketime:faketime)
missing=()
for each in "${needed[@]}"; do command -v "${each%%:*}" >/dev/null || missing+=("${each##*:}"); done
if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -qq
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

export FAULTS_PREFIX=apd$$ PYTHONPATH=tests/real PYTHONDONTWRITEBYTECODE=1
buffers=$(sysctl -n net.core.rmem_max)
finish() {
    status=$?
    trap - EXIT INT TERM
    if kill "$main" 2>/dev/null; then wait "$main" || :; fi
    # What is left when the program was killed: the setting, the processes of its namespaces, then those.
    [ "$(sysctl -n net.core.rmem_max)" = "$buffers" ] || sysctl -qw net.core.rmem_max="$buffers" || :
    for each in $(ip netns list | awk -v p="^${FAULTS_PREFIX}n" '$1 ~ p { print $1 }'); do
        for pid in $(ip netns pids "$each"); do kill -9 "$pid" 2>/dev/null || :; done
        ip netns del "$each" || :
    done
    exit "$status"
}
python3 -m doctor "$@" &
main=$!
trap finish EXIT
trap 'exit 130' INT TERM
wait "$main"
