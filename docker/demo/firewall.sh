#!/bin/sh
# The firewall of an office: firewall.sh HOST PORT. Towards the gateway's network only TCP to that
# port of that host passes. No UDP does, and so no QUIC.
set -eu

address=$(busybox nslookup "$1" 127.0.0.11 | awk '/^Address/ && $NF !~ /:/ { print $NF; exit }')
device=$(ip -o route get "$address" | sed 's/.* dev \([^ ]*\).*/\1/')

nft -f - <<END
table inet firewall {
    chain out {
        type filter hook output priority 0
        oifname != "$device" accept
        ip daddr $address tcp dport $2 counter accept
        meta l4proto udp counter drop comment "UDP"
        counter drop
    }
    chain in {
        type filter hook input priority 0
        iifname != "$device" accept
        ip saddr $address tcp sport $2 accept
        drop
    }
}
END
echo "only TCP to $1 ($address), port $2, passes"
exec sleep infinity
