# shellcheck shell=bash disable=SC2154
# The demos, and what each must print. Sourced.

# Compose in the tree of the images, with the files that `files` names.
files=(-f compose.yaml)
in_src() { (cd "$src" && timeout 300 "${compose[@]}" "${files[@]}" "$@"); }

compose_down() {
    in_src --profile basic --profile quic-lossy --profile ws-firewall down --volumes --remove-orphans --timeout 15
}

run_demo() { # profile
    local user=${1#*-}-user
    files=(-f compose.yaml)
    if [ "$1" = ws-firewall ] && through_a_proxy; then files+=(-f compose.http-proxy.yaml); fi
    step "$1 (${files[*]})"
    # `run` starts what the user depends on, and shows the user's output alone.
    if ! in_src --profile "$1" run --rm -T "$user" >"$dir/$1.out" 2>"$dir/$1.err" </dev/null; then
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

# Whether the program under test can dial through an HTTP proxy and choose its transport.
through_a_proxy() {
    local help
    help=$("$program" client --help)
    grep -q HTTPS_PROXY <<<"$help" && grep -Eq '(\[possible values: .*|^ *- )auto' <<<"$help"
}

check_ws_firewall() {
    expect "$1" '^quic +no tunnel'
    expect "$1" '^ws +hello from the private network'
    if [ ${#files[@]} -gt 2 ]; then expect "$1" '^auto +hello from the private network'; fi
    docker exec "$(container firewall-office)" nft list chain inet firewall out |
        awk '/"UDP"/ { sub(/.*packets /, ""); print "UDP packets dropped: " $1; n = $1 } END { exit !(n > 0) }' ||
        fail "no UDP came to the firewall, so it stopped none"
}
