#!/bin/sh
# A bad link for all tunnels that end in this network namespace: of the packets that come in, so many
# of a thousand are lost. With the same at the other end, both directions lose.
set -eu

# A sender hands the kernel up to 64 KiB at once, which counts as one packet until it is cut; cut here, the far
# end sees, and loses, single packets. Receivers must not join them again either.
for device in /sys/class/net/eth*; do
    ethtool -K "${device##*/}" tso off gso off gro off
done

nft -f - <<END
table inet link {
    chain in {
        type filter hook input priority 0
        udp sport 8443 goto lossy
        udp dport 8443 goto lossy
        tcp sport 8443 goto lossy
        tcp dport 8443 goto lossy
    }
    chain lossy {
        counter
        numgen random mod 1000 < $1 counter drop
    }
}
END
echo "of 1000 incoming packets of tunnels, $1 are lost"
exec sleep infinity
