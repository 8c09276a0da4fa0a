# shellcheck shell=bash disable=SC2154
# From nothing to a tunnel, as README.md has it: two clean containers get the program and nothing else, one runs
# the gateway's line, the other the line that it prints, and curl goes through. Sourced.

minute_clean() {
    docker rm --force --volumes "$name-gw" "$name-laptop" >/dev/null 2>&1 || true
    docker network rm "$name-public" >/dev/null 2>&1 || true
}

# The line for the client, once the gateway has printed it. Its terminal ends lines with a carriage return.
printed_line() {
    for _ in $(seq 100); do
        grep -om1 'anyproxy client --join apj1_[A-Za-z0-9_-]*' "$1" && return
        read -rt 0.1 <> <(:) || :
    done
    cat "$1" >&2
    return 1
}

run_minute() {
    local began machine line answer took
    step "a minute"
    docker network create --internal "$name-public" >/dev/null
    began=${EPOCHREALTIME/./}

    # Two machines, and on each the program, which is installed by copying it.
    for machine in gw laptop; do
        docker run --detach --name "$name-$machine" --network "$name-public" --network-alias "$machine" \
            "$name-demo-base" sleep infinity >/dev/null
        docker exec "$name-$machine" sh -c '! command -v anyproxy' || fail "the container is not clean"
        docker cp --quiet "$program" "$name-$machine:/bin/anyproxy" 2>/dev/null ||
            docker cp "$program" "$name-$machine:/bin/anyproxy" >/dev/null
    done
    docker exec "$name-laptop" sh -c 'mkdir /www && echo hello from port 3000 >/www/index.html'
    docker exec --detach "$name-laptop" busybox httpd -f -p 127.0.0.1:3000 -h /www

    # The first line, at a terminal: only there a token is printed.
    : >"$dir/minute-gateway"
    docker exec --tty "$name-gw" anyproxy gateway --advertise gw:8443 >"$dir/minute-gateway" 2>&1 </dev/null &
    line=$(printed_line "$dir/minute-gateway") || fail "the gateway prints no line"
    # The second line is what it printed.
    # shellcheck disable=SC2086 # words of a command line
    docker exec "$name-laptop" $line --forward 8000:localhost:3000 >"$dir/minute-client" 2>&1 </dev/null &
    answer=$(docker exec "$name-gw" curl -fsS --max-time 50 --retry 200 --retry-delay 0 --retry-all-errors \
        --retry-max-time 50 http://127.0.0.1:8000/ 2>"$dir/minute-curl") ||
        { cat "$dir"/minute-* >&2; fail "curl gets nothing through the tunnel"; }
    took=$((${EPOCHREALTIME/./} - began))
    [ "$answer" = "hello from port 3000" ] || fail "curl got: $answer"

    printf 'gw%% anyproxy gateway --advertise gw:8443\n'
    printf 'laptop%% anyproxy client --join apj1_… --forward 8000:localhost:3000\n'
    printf 'gw%% curl http://127.0.0.1:8000/\n%s\n' "$answer"
    awk -v t="$took" 'BEGIN { printf "%.1f seconds from clean containers to the answer\n", t / 1e6; exit t >= 6e7 }' ||
        fail "that is more than a minute"
    minute_checks
    minute_clean
}

# Nothing but what the program made by itself is there, and the gateway was verified.
minute_checks() {
    local files
    files=$(docker diff "$name-gw" | awk '$1 != "D" { print $2 }' |
        grep -Ev '^/(bin(/anyproxy)?|(var|var/lib|var/lib/anyproxy)?(/gateway(/(ca|gateway)\.(crt|key)|/groups\.db(-wal|-shm)?|/default\.password|/start\.lock)?)?|(run|tmp|root)(/.*)?)$' || true)
    [ -z "$files" ] || fail "files that nobody should need: $files"
    docker exec "$name-laptop" grep -q 'sha256:' /var/lib/anyproxy/client/identity.json ||
        fail "the client pins nothing"
    # One that trusts another CA stays out, so it is the pin of the token that let this one in.
    docker exec "$name-laptop" sh -c '
        anyproxy certs --dir /tmp/other --name gw --group default >/dev/null
        timeout 5 anyproxy client --gateway gw:8443 --transport ws --group default --status-socket off \
            --secret-file /tmp/other/default.secret --ca /tmp/other/ca.crt 2>&1' >"$dir/minute-other" || true
    grep -q 'UnknownIssuer' "$dir/minute-other" ||
        { cat "$dir/minute-other" >&2; fail "a client that trusts another CA is not told so"; }
    echo "verified: no file was edited, and the client pins the gateway's CA"
}
