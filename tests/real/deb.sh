#!/usr/bin/env bash
# Builds the Debian package and installs it in a root of its own: the program runs there, nothing is enabled, a configured
# gateway starts as the package's user and answers, and removing the package leaves the configuration.
# Needs root, cargo-deb (packaging/deb installs it) and a mirror of Debian (MIRROR) for debootstrap.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v debootstrap >/dev/null || { apt-get update -qq && apt-get install -y -qq debootstrap; }
packaging/deb
package=$(ls -t target/debian/anyproxy_*.deb | head -n 1)
root=$(mktemp -d)
gateway=
finish() {
    [ -z "$gateway" ] || kill "$gateway" 2>/dev/null || true
    rm -rf "$root"
}
trap finish EXIT

debootstrap --variant=minbase --include=systemd bookworm "$root" ${MIRROR:+"$MIRROR"}
cp "$package" "$root/anyproxy.deb"
chroot "$root" dpkg -i /anyproxy.deb
chroot "$root" anyproxy --version
for file in /usr/lib/systemd/system/anyproxy-gateway.service /usr/share/man/man1/anyproxy.1.gz \
    /usr/share/bash-completion/completions/anyproxy /usr/share/doc/anyproxy/examples/gateway.toml; do
    [ -e "$root$file" ] || { echo "$file is missing"; exit 1; }
done
if find "$root/etc/systemd/system" -name 'anyproxy*' | grep .; then
    echo "a service is enabled without a configuration"
    exit 1
fi

chroot "$root" anyproxy certs --dir /etc/anyproxy/certs --group demo >/dev/null
sed 's,\.\./certs,certs,' configs/gateway.toml >"$root/etc/anyproxy/gateway.toml"
chroot "$root" chown -R anyproxy /etc/anyproxy
# systemd is not the first process of a chroot, so this is the unit's command, as its user.
chroot --userspec=anyproxy "$root" anyproxy gateway --config /etc/anyproxy/gateway.toml &
gateway=$!
until chroot "$root" anyproxy health --timeout 30s; do
    kill -0 "$gateway"
done
kill "$gateway"
wait "$gateway" || true
gateway=

chroot "$root" dpkg --purge anyproxy
[ -e "$root/etc/anyproxy/gateway.toml" ] && [ ! -e "$root/usr/bin/anyproxy" ]
echo "package: ok"
