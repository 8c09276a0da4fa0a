#!/bin/sh
# The firewall of an office: towards the gateway's network only TCP to the gateway's port 443 passes.
# No UDP does, and so no QUIC.
set -eu

gateway=$(busybox nslookup gateway 127.0.0.11 | awk '/^Address.*: *[0-9.]+$/ && !/127\.0\.0\.11/ { print $NF; exit }')
device=$(ip -o route get "$gateway" | sed 's/.* dev \([^ ]*\).*/\1/')

nft -f - <<END
table inet firewall {
    chain out {
        type filter hook output priority 0
        oifname != "$device" accept
        ip daddr $gateway tcp dport 443 counter accept
        meta l4proto udp counter drop comment "udp"
        counter drop
    }
    chain in {
        type filter hook input priority 0
        iifname != "$device" accept
        ip saddr $gateway tcp sport 443 accept
        drop
    }
}
END
echo "only TCP to $gateway:443 passes"
exec sleep infinity
