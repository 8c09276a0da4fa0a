# shellcheck shell=bash disable=SC2154
# The demos, and what each must print. Sourced.

# Compose in the tree of the images.
in_src() { (cd "$src" && timeout 300 "${compose[@]}" "$@"); }

# The line of README.md that ends the demos.
compose_down() {
    local line
    line=$(sed -n 's/^docker compose \(--profile .* down .*\)/\1/p' README.md | grep .) || fail "README.md ends no demo"
    # shellcheck disable=SC2086 # words of a command line
    in_src $line --remove-orphans --timeout 15
}

# The line of README.md that runs a demo, as arguments for Compose, without its comment.
readme_line() { # profile
    sed -n "s/ *#.*//; s/^docker compose \(--profile $1 run .*\)/\1/p" README.md | grep . ||
        fail "README.md has no line that runs $1"
}

run_demo() { # profile
    local line
    step "$1"
    line=$(readme_line "$1")
    # `run` starts what the user depends on, and shows the user's output alone.
    # shellcheck disable=SC2086 # words of a command line
    if ! in_src ${line/ --rm / --rm -T } >"$dir/$1.out" 2>"$dir/$1.err" </dev/null; then
        cat "$dir/$1.out" "$dir/$1.err" >&2
        in_src --profile "$1" logs --tail 20 >&2 || true
        fail "$1: the user's container failed"
    fi
    cat "$dir/$1.out"
    "check_${1//-/_}" "$dir/$1.out"
    compose_down >"$dir/$1.down" 2>&1 || { cat "$dir/$1.down" >&2; fail "$1 does not end"; }
}

expect() { # file, pattern
    grep -Eq "$2" "$1" || fail "no line like: $2"
}

container() { docker ps --quiet --filter "label=com.docker.compose.project=$name" --filter "label=com.docker.compose.service=$1"; }

check_basic() {
    local way
    expect "$1" '^directly +no way'
    for way in "HTTP proxy" "SOCKS5 proxy" "forwarded port"; do
        expect "$1" "^$way +hello from the private network"
    done
}

check_quic_lossy() {
    local seconds='[0-9]+\.[0-9]+'
    expect "$1" '^[0-9.]+ % of the packets lost each way, no delay added'
    expect "$1" "^quic +$seconds +$seconds"
    expect "$1" "^ws +$seconds +$seconds"
    # Without losses the times would show nothing.
    local side
    for side in gateway client; do
        docker exec "$(container "lossy-$side-link")" nft list chain inet link lossy |
            awk -v side="$side" '/packets/ { n[++i] = $0; sub(/.*packets /, "", n[i]); sub(/ .*/, "", n[i]) }
                END { printf "%s: %d of %d packets lost\n", side, n[2], n[1]; exit !(n[2] > 0) }' ||
            fail "no packet was lost on the way to the $side"
    done
}

check_ws_firewall() {
    expect "$1" '^quic +no tunnel'
    expect "$1" '^ws +hello from the private network'
    expect "$1" '^auto +hello from the private network'
    docker exec "$(container firewall-office)" nft list chain inet firewall out |
        awk '/"UDP"/ { sub(/.*packets /, ""); print "UDP packets dropped: " $1; n = $1 } END { exit !(n > 0) }' ||
        fail "no UDP came to the firewall, so it stopped none"
    # That all bytes went through the proxy is the firewall's rule; that the proxy was asked is in its log.
    docker logs "$(container firewall-http-proxy)" 2>&1 | tee "$dir/proxy.log" |
        grep -Ec 'CONNECT gateway:443' | sed 's/^/CONNECTs at the HTTP proxy: /' ||
        fail "nobody came to the HTTP proxy"
}
