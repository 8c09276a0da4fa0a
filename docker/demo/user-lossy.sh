#!/bin/sh
# Downloads the target's file over both transports at the same time, and compares: user-lossy.sh LOSS, in
# thousandths, as the links have it.
set -eu

download() { # transport, which is also the group's name
    secret=$(cat "/handed/$1.secret")
    curl -fsS --max-time 300 -x "http://$1:$secret@gateway:8088" -o "/tmp/$1" \
        -w '%{time_total} %{size_download}' http://target/file >"/tmp/$1.time" 2>"/tmp/$1.error"
}

secret=$(cat /handed/quic.secret)
sum=$(curl -fsS --max-time 60 -x "http://quic:$secret@gateway:8088" http://target/file.sha256)

download quic &
quic=$!
download ws &
ws=$!
status=0
wait $quic || status=1
wait $ws || status=1

# Delay would want a module that many kernels lack (netem), so the round trip is that of one machine. There TCP
# repairs a loss sooner than on any real path, and either may win.
awk -v loss="$1" 'BEGIN { printf "%.1f %% of the packets lost each way, no delay added\n", loss / 10 }'
printf '%-9s %9s %9s\n' transport seconds MiB/s
for transport in quic ws; do
    if [ "$(sha256sum <"/tmp/$transport")" = "$sum" ]; then
        awk -v t="$transport" '{ printf "%-9s %9.2f %9.1f\n", t, $1, $2 / $1 / 1048576 }' "/tmp/$transport.time"
    else
        printf '%-9s failed: %s\n' "$transport" "$(cat "/tmp/$transport.error")"
        status=1
    fi
done
exit $status
