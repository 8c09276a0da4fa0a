#!/usr/bin/env bash
# The test matrix: real clients (curl, OpenSSH, dig, Python, a browser, …) over both transports.
#
#   tests/real/matrix.sh [-t quic|ws] [-l] [case…]
#
# Installs the clients from Debian and PyPI when they are absent, so it runs as root. ANYPROXY names
# the program to test (default: target/release/anyproxy), MATRIX_CACHE where clients are kept.
set -euo pipefail
cd "$(dirname "$0")/../.."

cache=${MATRIX_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/anyproxy-matrix}
mkdir -p "$cache"

# Command and the package that has it.
needed=(curl:curl ssh:openssh-client sshd:openssh-server dig:dnsutils nc:netcat-openbsd ncat:ncat
    chromium:chromium iperf3:iperf3 haproxy:haproxy nginx:nginx-light openssl:openssl unshare:util-linux)
missing=()
for each in "${needed[@]}"; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${each%%:*}" >/dev/null || missing+=("${each##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
    # The servers among them are started by the matrix, on its own ports, and by nobody else: in
    # runlevel 1 Debian's packages start none.
    apt-get update -qq
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$cache/apt.log"
fi

python=$cache/venv/bin/python3
if ! "$python" -c 'import h2, python_socks, requests, socks, websockets' 2>/dev/null; then
    python3 -m venv --clear "$cache/venv" 2>"$cache/venv.log" ||
        { apt-get install -y -qq python3-venv >"$cache/apt.log"; python3 -m venv --clear "$cache/venv"; }
    "$python" -m pip install --quiet --disable-pip-version-check -r tests/real/requirements.txt
fi

# HTTP/2 to a proxy needs curl 8.1. Debian 12 has it in its backports; it is unpacked beside the system's.
backported_curl() {
    local list=$cache/backports.list
    local options=(-o "Dir::Etc::sourcelist=$list" -o Dir::Etc::sourceparts=-
        -o "Dir::State::lists=$cache/lists" -o APT::Sandbox::User=root)
    mkdir -p "$cache/lists/partial" "$cache/curl"
    # From wherever this machine has its Debian.
    local mirror
    mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
        awk '$1 == "bookworm" { print $2; exit }')
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm-backports main" >"$list"
    (
        cd "$cache/curl"
        apt-get -qq "${options[@]}" update
        apt-get -qq "${options[@]}" download curl/bookworm-backports libcurl4/bookworm-backports
        for package in *.deb; do dpkg -x "$package" .; done
    ) >>"$cache/apt.log" 2>&1
    printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" exec "%s" "$@"\n' \
        "$(dirname "$cache"/curl/usr/lib/*/libcurl.so.4)" "$cache/curl/usr/bin/curl" >"$cache/curl/curl"
    chmod +x "$cache/curl/curl"
}
h2_proxy() { "$1" --help all 2>/dev/null | grep -q -- --proxy-http2; }
if [ -z "${CURL:-}" ]; then
    CURL=curl
    if ! h2_proxy "$CURL"; then
        CURL=$cache/curl/curl
        h2_proxy "$CURL" || backported_curl
    fi
fi
export CURL PYTHONPATH=tests/real PYTHONDONTWRITEBYTECODE=1

exec "$python" -m matrix "$@"
