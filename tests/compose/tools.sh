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
    [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
    # A client without BuildKit may be all that is there, and newer Debians pack both by themselves.
    [ -n "$(clients_with_buildkit)" ] || install_packages docker-cli docker-buildx
}

install_packages() {
    apt-get update -qq
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "$@" >"$dir/apt.log" 2>&1 || { tail -20 "$dir/apt.log" >&2; fail "apt-get install $*"; }
}

# Each `docker` in the path that can build. One of version 23 or later without the buildx plugin cannot.
clients_with_buildkit() {
    local each
    for each in $(type -ap docker); do
        ! DOCKER_BUILDKIT=1 "$each" build --help >/dev/null 2>&1 || echo "$each"
    done
}

find_program() {
    program=${ANYPROXY:-target/release/anyproxy}
    if [ -z "${ANYPROXY:-}" ] && [ ! -x "$program" ]; then
        cargo build --release --locked --package anyproxy
    fi
    program=$(realpath "$program")
    "$program" --version
}
