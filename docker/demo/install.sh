#!/bin/sh
# Installs what the demos need and the base image lacks, and makes the directories of their volumes.
set -eu

missing=
for each in curl:curl nft:nftables ip:iproute2 ethtool:ethtool tinyproxy:tinyproxy-bin busybox:busybox; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${each%:*}" >/dev/null || missing="$missing ${each#*:}"
done
if [ -n "$missing" ]; then
    apt-get update
    # One word for each package.
    # shellcheck disable=SC2086
    apt-get install -y --no-install-recommends $missing
    rm -rf /var/lib/apt/lists/*
fi
mkdir -p /gateway /handed
chown 65532:65532 /gateway /handed
