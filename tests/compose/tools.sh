# shellcheck shell=bash disable=SC2154
# What tests/compose/run needs of the machine. Sourced.

# Installs the commands that are absent. Their services are started by nobody: in runlevel 1 Debian's
# packages start none.
install_tools() {
    local needed=(dockerd:docker.io iptables:iptables unshare:util-linux pgrep:procps busybox:busybox-static nft:nftables
        ip:iproute2 ethtool:ethtool tinyproxy:tinyproxy-bin curl:curl) missing=() each
    for each in "${needed[@]}"; do
        command -v "${each%%:*}" >/dev/null || missing+=("${each##*:}")
    done
    docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null || missing+=(docker-compose)
    [ ${#missing[@]} -gt 0 ] || return 0
    apt-get update -qq
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "${missing[@]}" >"$dir/apt.log" 2>&1 || { tail -20 "$dir/apt.log" >&2; fail "apt-get install ${missing[*]}"; }
}

find_program() {
    program=${ANYPROXY:-target/release/anyproxy}
    if [ -z "${ANYPROXY:-}" ] && [ ! -x "$program" ]; then
        cargo build --release --locked --package anyproxy
    fi
    program=$(realpath "$program")
    "$program" --version
}
