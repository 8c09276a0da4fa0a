#!/usr/bin/env bash
# The systemd units that `anyproxy service install` writes, with a configuration and without: systemd reads them without a complaint, and their exposure
# (`systemd-analyze security`) is not above the figures of docs/restart.md. Needs no running systemd, only systemd-analyze.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v systemd-analyze >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq systemd >/dev/null; }
bin=${ANYPROXY:-target/release/anyproxy}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

# What a user's service keeps would be this user's.
export HOME=/home/user XDG_CONFIG_HOME='' XDG_STATE_HOME=''

# The units are looked at in a root of their own, in which the program is.
install -D "$bin" "$root/usr/local/bin/anyproxy"
install -D "$(type -P kill)" "$root/bin/kill"
for side in gateway client; do
    "$bin" service install "$side" --root "$root" >/dev/null
    "$bin" service install "$side" --user --root "$root" >/dev/null
done
units=$root/etc/systemd/system
score() { # unit, most (in tenths)
    systemd-analyze security --offline=true --threshold="$2" "$1" 2>&1 | grep Overall ||
        { echo "$1 is more exposed than $2 tenths"; return 1; }
    systemd-analyze security --offline=true --threshold="$2" "$1" >/dev/null
}
look() {
    score "$units/anyproxy-gateway.service" 15
    score "$units/anyproxy-client.service" 12
    for side in gateway client; do
        score "$root/home/user/.config/systemd/user/anyproxy-$side.service" 70
    done
    # What systemd does not understand, it says here. The references to units and manual pages of a whole system are left out.
    complaints=$(systemd-analyze verify --man=no --root="$root" anyproxy-gateway.service anyproxy-gateway.socket \
        anyproxy-client.service 2>&1 | grep -E "$units|anyproxy-(gateway|client)" | grep -vE 'Failed to (add dependency|create)|not found|Unit .* could not be loaded' || true)
    [ -z "$complaints" ] || { echo "$complaints"; exit 1; }
}
look

# A gateway without a file, and a client that joined it, as a person starts them.
export ANYPROXY_HTTP=off ANYPROXY_SOCKS5=off XDG_RUNTIME_DIR=$root
kept=$root/kept
started=()
start() { # log, what it says when it runs, command
    "${@:3}" 2>"$1" &
    started+=("$!")
    until grep -q "$2" "$1"; do kill -0 "$!"; done
}
end() {
    for process in "${started[@]}"; do
        kill "$process"
        wait "$process" || true
    done
    started=()
}
trap 'end; rm -rf "$root"' EXIT
start "$root/gateway.log" 'clients join with tokens' "$bin" gateway --data-dir "$kept/gateway" --listen 127.0.0.1:0
at=$(grep -o 'tunnels=[0-9.:]*' "$root/gateway.log" | cut -d= -f2)
"$bin" token create --data-dir "$kept/gateway" --secret-out "$root/token" >/dev/null
start "$root/client.log" 'connected to the gateway' "$bin" client --join-file "$root/token" --state-dir "$kept/client"
if "$bin" service install gateway --advertise "$at" --data-dir "$kept/gateway" --root "$root" 2>"$root/refusal"; then
    echo "a gateway that runs was taken over"
    exit 1
fi
grep -q 'a gateway runs from' "$root/refusal"
end
rm "$root/token"

# Their services take over what those have made.
for flags in "gateway --advertise $at --data-dir $kept/gateway" \
    "client --forward 0:localhost:3000 --state-dir $kept/client"; do
    # shellcheck disable=SC2086 # several flags
    "$bin" service install $flags --root "$root" >/dev/null
done
left=$(find "$kept" -type f)
[ -z "$left" ] || { echo "left behind: $left"; exit 1; }
cp -a "$root/var/lib/anyproxy/gateway" "$root/var/lib/anyproxy-client" "$kept"
"$bin" service install gateway --user --advertise "$at" --data-dir "$kept/gateway" --root "$root" >/dev/null
"$bin" service install client --user --state-dir "$kept/anyproxy-client" --root "$root" >/dev/null
look

# What those units run, here without systemd: the client is known to the gateway, and needs no token.
variables() { # unit
    sed -n "s,%S,$root/var/lib,; s,^Environment=,,p" "$1"
}
for dir in "$units" "$root/home/user/.config/systemd/user"; do
    for side in gateway client; do
        said='clients join with tokens'
        [ "$side" = gateway ] || said='connected to the gateway'
        mapfile -t variables < <(variables "$dir/anyproxy-$side.service")
        grep -qE "^ExecStart=/usr/local/bin/anyproxy $side\$" "$dir/anyproxy-$side.service"
        start "$root/$side.log" "$said" env "${variables[@]}" "$bin" "$side"
    done
    end
done
echo "units: ok"
