#!/usr/bin/env bash
# The gateway behind a real nginx and a real HAProxy, with the shipped examples of configs/reverse-proxy: over TLS
# and over a Unix socket. The log has to show the client's address and never a forged one.
#
# Loopback only, with ports that are free. Installs nginx, HAProxy and curl from Debian where they are absent. Needs
# root (the example's nginx changes its user) and target/release/anyproxy, or ANYPROXY.
set -euo pipefail
cd "$(dirname "$0")/../.."

need() { command -v "$1" >/dev/null || { apt-get update -qq && apt-get install -y -qq "$1"; }; }
need nginx
need haproxy
need curl

bin=${ANYPROXY:-$PWD/target/release/anyproxy}
dir=$(mktemp -d)
pids=()
finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$dir"
}
trap finish EXIT

fail() {
    echo "FAILED: $*"
    tail -n 20 "$dir"/*.log
    exit 1
}
ports() { # how many
    python3 -c 'import socket,sys
all=[socket.create_server(("127.0.0.1",0)) for _ in range(int(sys.argv[1]))]
print(*(s.getsockname()[1] for s in all))' "$1"
}
until_true() { # what, command…
    local what=$1
    shift
    for _ in $(seq 200); do
        if "$@" 2>/dev/null; then return; fi
        read -rt 0.1 <> <(:) || :
    done
    fail "$what"
}
open_port() { python3 -c 'import socket,sys; socket.create_connection(("127.0.0.1",int(sys.argv[1]))).close()' "$1"; }

# `front` is the certificate of the reverse proxies, `gateway` that of the gateway.
"$bin" certs --dir "$dir/front" >/dev/null
"$bin" certs --dir "$dir/gateway" --group demo >/dev/null
cat "$dir/front/gateway.crt" "$dir/front/gateway.key" >"$dir/front.pem"
secret=$(cat "$dir/gateway/demo.secret")
mkdir -m 755 "$dir/run" "$dir/www"
chmod 755 "$dir"
echo "from the target" >"$dir/www/file"
read -r target <<<"$(ports 1)"
python3 -m http.server --bind 127.0.0.1 --directory "$dir/www" "$target" >/dev/null 2>&1 &
pids+=($!)
until_true "no target" open_port "$target"

# The reverse proxies come from 127.0.0.2, the clients from 127.0.0.1.
gateway() { # name, trusted_header
    local name=$1
    cat >"$dir/$name.toml" <<CONFIG
listen = "127.0.0.1:$gateway_port"
transport = "ws"
certificate = "gateway/gateway.crt"
key = "gateway/gateway.key"
ws_socket = "run/$name.sock"
trusted_proxies = ["127.0.0.2", "unix"]
trusted_header = "$2"
http = "127.0.0.1:$http_port"
socks5 = "off"
[[group]]
name = "demo"
secret_file = "gateway/demo.secret"
CONFIG
    # What a killed gateway leaves.
    python3 -c 'import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$dir/run/$name.sock"
    "$bin" gateway --config "$dir/$name.toml" 2>"$dir/$name.log" &
    gateway_pid=$!
    pids+=("$gateway_pid")
    until_true "no gateway" grep -q "gateway started" "$dir/$name.log"
    [ "$(stat -c %a "$dir/run/$name.sock")" = 660 ] || fail "the mode of the socket"
}

# Runs a client against a port, has it serve a user, and compares the address in the gateway's log.
client() { # what, port, trust…, then -- and what the address has to match
    local what=$1 port=$2 log="$dir/$gateway_name.log" trust=()
    shift 2
    while [ "$1" != -- ]; do trust+=("$1") && shift; done
    local before seen
    before=$(grep -c "session up" "$log" || true)
    ANYPROXY_SECRET=$secret "$bin" client --gateway "localhost:$port" --transport ws --group demo \
        --client-id "test" "${trust[@]}" 2>"$dir/client.log" &
    local pid=$!
    pids+=("$pid")
    until_true "$what: no session" test_more "$before" "$log"
    [ "$(curl -fsS --max-time 20 -x "http://demo:$secret@127.0.0.1:$http_port" \
        "http://127.0.0.1:$target/file")" = "from the target" ] || fail "$what: no answer"
    seen=$(grep "session up" "$log" | tail -1 | grep -o 'peer=[^ ]*')
    [[ $seen =~ ^peer=$2$ ]] || fail "$what: the log shows $seen"
    kill "$pid"
    wait "$pid" || fail "$what: the client did not end well"
    printf '%-52s %s\n' "$what" "$seen"
}
test_more() { [ "$(grep -c "session up" "$2" || true)" -gt "$1" ]; }

forger() { # way, its port, the port behind it, the CA of that
    python3 tests/real/front.py "$dir/front/gateway.crt" "$dir/front/gateway.key" "$2" "$3" "$4" "$1" \
        >"$dir/forger-$2.out" 2>"$dir/forger.log" &
    pids+=($!)
    until_true "no forger" grep -q listening "$dir/forger-$2.out"
}

front=(--ca "$dir/front/ca.crt")
own=(--ca "$dir/gateway/ca.crt")
client_v4='127\.0\.0\.1:[1-9][0-9]*'
told_v4='127\.0\.0\.1:0'

## nginx, which tells by X-Forwarded-For

read -r gateway_port http_port unix_port tls_port direct_port forged_port <<<"$(ports 6)"
gateway_name=nginx
gateway nginx x-forwarded-for
adapt() { # the listening port, the upstream
    sed -e "s|listen 443 ssl|listen 127.0.0.1:$1 ssl|" \
        -e "s|/etc/ssl/gw.example.com|$dir/front/gateway|g" \
        -e "s|/run/anyproxy/ws.sock|$dir/run/nginx.sock|" \
        -e "s|server 127.0.0.1:8443|server 127.0.0.1:$gateway_port|" \
        -e "s|/etc/anyproxy/ca.crt|$dir/gateway/ca.crt|" \
        -e "s|^http {|http { access_log off; proxy_bind $2;|" configs/reverse-proxy/nginx.conf
}
adapt "$unix_port" off >"$dir/nginx-unix.conf"
# Way B: the lines of A go, the ones that are commented out come.
adapt "$tls_port" 127.0.0.2 | sed -e '/proxy_pass http:/d' -e '/# For B instead/d' \
    -e 's|# proxy_pass https|proxy_pass https|' -e 's|# proxy_ssl|proxy_ssl|' >"$dir/nginx-tls.conf"
for way in unix tls; do
    nginx -p "$dir" -c "$dir/nginx-$way.conf" -e "$dir/nginx-$way-error.log" \
        -g "daemon off; user root; pid $dir/nginx-$way.pid;" &
    pids+=($!)
done
until_true "no nginx" open_port "$unix_port"
until_true "no nginx" open_port "$tls_port"
client "nginx, Unix socket" "$unix_port" "${front[@]}" -- "$told_v4"
client "nginx, TLS again" "$tls_port" "${front[@]}" -- "$told_v4"
forger headers "$direct_port" "$gateway_port" "$dir/gateway/ca.crt"
client "forged headers, straight to the gateway" "$direct_port" "${front[@]}" -- "$client_v4"
forger headers "$forged_port" "$unix_port" "$dir/front/ca.crt"
client "forged headers, through nginx" "$forged_port" "${front[@]}" -- "$told_v4"
kill "$gateway_pid"
wait "$gateway_pid" || fail "the gateway did not end well"
[ ! -e "$dir/run/nginx.sock" ] || fail "the socket's file was left"

## HAProxy, which tells by the PROXY protocol

read -r gateway_port http_port unix_port tls_port passed_port direct_port <<<"$(ports 6)"
gateway_name=haproxy
gateway haproxy proxy-protocol
adapt() { # the listening port of `https`, its backend, the port passed through
    sed -e "s|bind :443 ssl crt /etc/haproxy/gw.example.com.pem|bind 127.0.0.1:$1 ssl crt $dir/front.pem|" \
        -e "s|use_backend anyproxy_unix|use_backend $2|" \
        -e "s|/run/anyproxy/ws.sock|$dir/run/haproxy.sock|" \
        -e "s|gateway 127.0.0.1:8443|gateway 127.0.0.1:$gateway_port source 127.0.0.2|" \
        -e "s|gateway 127.0.0.1:9443|gateway 127.0.0.1:$gateway_port source 127.0.0.2|" \
        -e "s|bind :8443|bind 127.0.0.1:$3|" \
        -e "s|/etc/anyproxy/ca.crt|$dir/gateway/ca.crt|" configs/reverse-proxy/haproxy.cfg
}
read -r unused <<<"$(ports 1)"
adapt "$unix_port" anyproxy_unix "$passed_port" >"$dir/haproxy-unix.cfg"
adapt "$tls_port" anyproxy_tls "$unused" >"$dir/haproxy-tls.cfg"
for way in unix tls; do
    haproxy -q -db -f "$dir/haproxy-$way.cfg" >"$dir/haproxy-$way-error.log" 2>&1 &
    pids+=($!)
done
until_true "no HAProxy" open_port "$unix_port"
until_true "no HAProxy" open_port "$tls_port"
client "HAProxy, Unix socket" "$unix_port" "${front[@]}" -- "$client_v4"
client "HAProxy, TLS again" "$tls_port" "${front[@]}" -- "$client_v4"
client "HAProxy, TLS passed through" "$passed_port" "${own[@]}" -- "$client_v4"
# A forged PROXY header of somebody who is not trusted is a broken handshake, and no session.
forger proxy-protocol "$direct_port" "$gateway_port" "$dir/gateway/ca.crt"
before=$(grep -c "session up" "$dir/haproxy.log")
ANYPROXY_SECRET=$secret "$bin" client --gateway "localhost:$direct_port" --transport ws --group demo \
    --client-id test "${own[@]}" 2>"$dir/client.log" &
pid=$!
pids+=("$pid")
until_true "the client says nothing of the forged header" grep -qi "cannot connect" "$dir/client.log"
[ "$(grep -c "session up" "$dir/haproxy.log")" = "$before" ] || fail "a forged PROXY header was taken"
kill "$pid"
wait "$pid" || true
printf '%-52s %s\n' "forged PROXY header, straight to the gateway" "no session"

grep -q "203\.0\.113\.66" "$dir"/nginx.log "$dir"/haproxy.log && fail "a forged address is in the log"
echo "the gateway works behind nginx and HAProxy, and believes nobody else"
