#!/usr/bin/env bash
# The shipped configurations with real clients: big files through every ingress, in both directions,
# over both transports, and an idle connection that still works. SIZE_MIB sets the size of the file, ANYPROXY the
# program (default: target/release/anyproxy).
#
# Uses the ports of configs/: 8443, 8088, 1080 and 8000 on the gateway's side, 9000 and 9001 for
# the targets.
set -euo pipefail
cd "$(dirname "$0")/../.."

size=${SIZE_MIB:-1024}
idle=${IDLE_SECONDS:-35}
bin=${ANYPROXY:-$PWD/target/release/anyproxy}
dir=$(mktemp -d)
pids=()
finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$dir"
}
trap finish EXIT

cp -r configs "$dir/"
"$bin" certs --dir "$dir/certs" --group demo >"$dir/certs.log"
secret=$(cat "$dir/certs/demo.secret")
head -c "${size}M" /dev/urandom >"$dir/file"
sum=$(sha256sum <"$dir/file")

# The target: GET sends the file, PUT answers with the SHA-256 of what came; and an echo.
python3 tests/real/target.py "$dir/file" 9001 9000 &
pids+=($!)

"$bin" gateway --config "$dir/configs/gateway.toml" 2>"$dir/gateway.log" &
gateway=$!
pids+=("$gateway")

check() { # name, what came
    if [ "$2" = "$sum" ]; then
        printf '%-5s %-22s ok\n' "$transport" "$1"
    else
        printf '%-5s %-22s FAILED: %s\n' "$transport" "$1" "$2"
        tail -5 "$dir"/*.log
        exit 1
    fi
}

for transport in quic ws; do
    # The second forward leads to the web server, for the big files.
    ANYPROXY_SECRET=$secret "$bin" client --config "$dir/configs/client.toml" \
        --transport "$transport" --forward 127.0.0.1:8001=127.0.0.1:9001 \
        --forward 127.0.0.1:8000=127.0.0.1:9000 2>"$dir/client.log" &
    client=$!
    pids+=("$client")
    url=http://127.0.0.1:9001/file
    # Ready when the forwarded port answers.
    curl -fsS --retry 100 --retry-max-time 20 --retry-all-errors --retry-connrefused -o /dev/null \
        http://127.0.0.1:8001/hello

    # An idle connection, while everything else goes on.
    mkfifo "$dir/fifo-$transport"
    nc -N localhost 8000 <"$dir/fifo-$transport" >"$dir/echo-$transport" &
    echo_client=$!
    exec 7>"$dir/fifo-$transport"
    began=$SECONDS

    http=(-x "http://demo:$secret@localhost:8088")
    connect=(--proxytunnel "${http[@]}")
    socks=(--socks5-hostname localhost:1080 --proxy-user "demo:$secret")
    check "http down" "$(curl -fsS "${http[@]}" "$url" | sha256sum)"
    check "http up" "$(curl -fsS "${http[@]}" -T "$dir/file" "$url")"
    check "connect down" "$(curl -fsS "${connect[@]}" "$url" | sha256sum)"
    check "connect up" "$(curl -fsS "${connect[@]}" -T "$dir/file" "$url")"
    check "socks5 down" "$(curl -fsS "${socks[@]}" "$url" | sha256sum)"
    check "socks5 up" "$(curl -fsS "${socks[@]}" -T "$dir/file" "$url")"
    check "forward down" "$(curl -fsS http://127.0.0.1:8001/file | sha256sum)"
    check "forward up" "$(curl -fsS -T "$dir/file" http://127.0.0.1:8001/file)"

    while [ $((SECONDS - began)) -lt "$idle" ]; do read -rt 1 <> <(:) || :; done
    echo "still there" >&7
    exec 7>&-
    wait "$echo_client"
    [ "$(cat "$dir/echo-$transport")" = "still there" ]
    printf '%-5s %-22s ok\n' "$transport" "idle ${idle} s, then echo"

    kill "$client"
    wait "$client"
done

kill "$gateway"
wait "$gateway"
echo "everything arrived as it was sent"
