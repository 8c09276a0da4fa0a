#!/bin/sh
# A user reaches the private web server in each of the three ways.
set -eu

secret=$(cat /handed/demo.secret)
check() { # way, curl's arguments
    way=$1
    shift
    printf '%-16s %s\n' "$way" "$(curl -fsS --max-time 30 "$@")"
}

if curl -sS --max-time 5 http://target/hello 2>/dev/null; then
    echo "the target can be reached without the tunnel: this shows nothing" >&2
    exit 1
fi
printf '%-16s %s\n' directly "no way"
check "HTTP proxy" -x "http://demo:$secret@gateway:8088" http://target/hello
check "SOCKS5 proxy" --socks5-hostname gateway:1080 --proxy-user "demo:$secret" http://target/hello
check "forwarded port" http://gateway:8000/hello
