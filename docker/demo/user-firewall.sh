#!/bin/sh
# Asks for the target through each client in the office, for 20 seconds if need be: user-firewall.sh
# TRANSPORT… Each is also the name of a group.
set -eu

printf '%-9s %s\n' transport "through the firewall"
for transport; do
    secret=$(cat "/handed/$transport.secret")
    answer=$(curl -sS --max-time 40 --retry 20 --retry-delay 1 --retry-max-time 20 -x "http://$transport:$secret@gateway:8088" \
        -o /tmp/answer -w '%{http_code} in %{time_total} s' http://target/hello 2>/tmp/error || true)
    case $answer in
    200*) printf '%-9s %s\n' "$transport" "$(cat /tmp/answer)" ;;
    *) printf '%-9s %s\n' "$transport" "no tunnel (${answer%% *})" ;;
    esac
done
