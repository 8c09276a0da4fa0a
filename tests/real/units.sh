#!/usr/bin/env bash
# The systemd units that `anyproxy service install` writes: systemd reads them without a complaint, and their exposure
# (`systemd-analyze security`) is not above the figures of docs/restart.md. Needs no running systemd, only systemd-analyze.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v systemd-analyze >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq systemd >/dev/null; }
bin=${ANYPROXY:-target/release/anyproxy}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

# The units are looked at in a root of their own, in which the program is.
install -D "$bin" "$root/usr/local/bin/anyproxy"
install -D "$(type -P kill)" "$root/bin/kill"
for side in gateway client; do
    "$bin" service install "$side" --root "$root" >/dev/null
    HOME=/home/user XDG_CONFIG_HOME='' "$bin" service install "$side" --user --root "$root" >/dev/null
done
units=$root/etc/systemd/system
score() { # unit, most (in tenths)
    systemd-analyze security --offline=true --threshold="$2" "$1" 2>&1 | grep Overall ||
        { echo "$1 is more exposed than $2 tenths"; return 1; }
    systemd-analyze security --offline=true --threshold="$2" "$1" >/dev/null
}
score "$units/anyproxy-gateway.service" 15
score "$units/anyproxy-client.service" 12
for side in gateway client; do
    score "$root/home/user/.config/systemd/user/anyproxy-$side.service" 70
done

# What systemd does not understand, it says here. The references to units and manual pages of a whole system are left out.
complaints=$(systemd-analyze verify --man=no --root="$root" anyproxy-gateway.service anyproxy-gateway.socket \
    anyproxy-client.service 2>&1 | grep -E "$units|anyproxy-(gateway|client)" | grep -vE 'Failed to (add dependency|create)|not found|Unit .* could not be loaded' || true)
[ -z "$complaints" ] || { echo "$complaints"; exit 1; }
echo "units: ok"
