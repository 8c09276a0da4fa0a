#!/bin/sh
# Makes what a gateway needs: setup.sh GROUP… In /gateway its keys, its certificate and its
# configuration; in /handed what a person would hand to clients and users, the CA's certificate
# and the groups' secrets.
set -eu

set_up=
for group; do set_up="$set_up --group $group"; done
# One word for each flag.
# shellcheck disable=SC2086
anyproxy certs --dir /gateway --name gateway $set_up

cat >/gateway/gateway.toml <<END
listen = "0.0.0.0:8443"
certificate = "gateway.crt"
key = "gateway.key"
# Users' passwords cross this network in the clear; it is theirs and the gateway's alone.
http = "0.0.0.0:8088"
socks5 = "0.0.0.0:1080"
END
for group; do
    cat >>/gateway/gateway.toml <<END

[[group]]
name = "$group"
secret_file = "$group.secret"
forwards = ["8000-8009"]
END
    cp -p "/gateway/$group.secret" /handed/
done
cp /gateway/ca.crt /handed/
