# shellcheck shell=bash
# The steps of tests/real/deb.sh, each in the container: inside.sh STEP

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    logs | tail -n 40 >&2 || :
    exit 1
}

# By hand: the command of the unit as the user of the unit, with the files that systemd would hand over.
start_by_hand() { # gateway, or client
    local command
    command=$(sed -n 's/^ExecStart=//p' "/usr/lib/systemd/system/anyproxy-$1.service")
    mkdir -p "/run/anyproxy-$1" /run/credentials /var/lib/anyproxy
    cp -r /etc/anyproxy-client/. /run/credentials/
    chown -R anyproxy "/run/anyproxy-$1" /run/credentials /var/lib/anyproxy
    chmod -R u=rX,go= /run/credentials
    # shellcheck disable=SC2086 # words of a command line
    RUNTIME_DIRECTORY=/run/anyproxy-$1 ANYPROXY_DATA_DIR=/var/lib/anyproxy setsid setpriv --reuid anyproxy \
        --regid anyproxy --clear-groups ${command//%d//run/credentials} >"/run/by-hand-$1.log" 2>&1 </dev/null &
    echo $! >"/run/by-hand-$1.pid"
}

start() { # gateway, or client
    case $MANAGER/$1 in
    systemd/gateway) systemctl enable --now anyproxy-gateway.socket anyproxy-gateway.service ;;
    systemd/client) systemctl enable --now anyproxy-client.service ;;
    *) start_by_hand "$1" ;;
    esac
}

is_running() { # gateway, or client
    if [ "$MANAGER" = systemd ]; then systemctl is-active "anyproxy-$1"; else kill -0 "$(cat "/run/by-hand-$1.pid")"; fi
}

# Until it works, for a minute at most.
soon() {
    local until=$((SECONDS + 60))
    until "$@"; do
        [ "$SECONDS" -lt "$until" ] || return 1
        sleep 0.2
    done
}

through_the_proxy() {
    [ "$(curl -fsS --max-time 10 -x "http://demo:$(cat /etc/anyproxy/certs/demo.secret)@127.0.0.1:8088" http://intranet.local:8080/)" = \
        "hello from the private network" ]
}

through_the_port() { [ "$(curl -fsS --max-time 10 http://127.0.0.1:8001/)" = "hello from the private network" ]; }

installed() {
    ! command -v anyproxy || fail "the container has the program already"
    dpkg --install /test/anyproxy.deb
    anyproxy --version
    for file in /usr/lib/systemd/system/anyproxy-{gateway.service,gateway.socket,client.service} \
        /usr/lib/systemd/user/anyproxy-{gateway,client}.service /usr/share/man/man1/anyproxy.1.gz \
        /usr/share/bash-completion/completions/anyproxy /usr/share/doc/anyproxy/examples/gateway.toml; do
        [ -e "$file" ] || fail "$file is missing"
    done
    [ "$(find / -xdev -name '*.key' -newer /test/anyproxy.deb)" = "" ] || fail "the package made a key"
    # The one user of the package, and nobody else reads what will be there.
    [ "$(stat -c '%U:%G %a' /etc/anyproxy /etc/anyproxy-client | tr '\n' ' ')" = "root:anyproxy 750 root:root 700 " ] ||
        fail "/etc/anyproxy: $(stat -c '%U:%G %a' /etc/anyproxy /etc/anyproxy-client)"
    ! find /etc/systemd -name 'anyproxy*' | grep . || fail "a service is enabled without a configuration"
    echo "$(dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}' anyproxy), nothing enabled"
}

started() {
    anyproxy certs --dir /etc/anyproxy/certs --group demo >/dev/null
    sed 's,\.\./certs,certs,' /test/gateway.toml >/etc/anyproxy/gateway.toml
    chown -R root:anyproxy /etc/anyproxy
    chmod -R u=rwX,g=rX,o= /etc/anyproxy
    # Only its owner needs the CA's key, to renew.
    chmod 600 /etc/anyproxy/certs/ca.key
    cp /etc/anyproxy/certs/ca.crt /etc/anyproxy-client/
    cp /etc/anyproxy/certs/demo.secret /etc/anyproxy-client/secret
    printf 'gateway = "localhost:8443"\npin = "%s"\ngroup = "demo"\nsecret_file = "secret"\n' \
        "$(anyproxy certs --dir /etc/anyproxy/certs | grep -o 'sha256:[0-9A-Za-z+/=]*' | sort -u)" >/etc/anyproxy-client/client.toml
    mkdir /www
    echo "hello from the private network" >/www/index.html
    busybox httpd -p 127.0.0.1:8080 -h /www
    for side in gateway client; do
        start "$side" || fail "the $side does not start"
        soon is_running "$side" || fail "the $side does not stay"
    done
    soon through_the_proxy || fail "curl gets nothing through the HTTP proxy"
    echo "through the proxy: hello from the private network"
    ! logs | grep -F ' WARN ' || fail "the configuration that the unit describes is warned of"
}

logs() { if [ "$MANAGER" = systemd ]; then journalctl --no-pager --unit 'anyproxy*'; else cat /run/by-hand-*.log; fi; }

# A machine with no file but what the token makes.
joined() {
    local token
    token=$(setpriv --reuid anyproxy --regid anyproxy --clear-groups anyproxy token create \
        --config /etc/anyproxy/gateway.toml --data-dir /var/lib/anyproxy --advertise localhost:8443 --secret-out -)
    setsid anyproxy client --join - --state-dir /run/joined --forward 8001:127.0.0.1:8080 --status-socket off \
        <<<"$token" >/run/by-hand-joined.log 2>&1 &
    soon through_the_port 2>/dev/null || { cat /run/by-hand-joined.log >&2; fail "curl gets nothing through the forwarded port"; }
    echo "through the port of a client that joined: hello from the private network"
}

# The same version again stands for a newer one: what runs is restarted and works.
updated() {
    local before
    [ "$MANAGER" = systemd ] || { echo "nothing restarts what was started by hand"; return; }
    before=$(systemctl show --value --property MainPID anyproxy-gateway)
    dpkg --install /test/anyproxy.deb
    [ "$(systemctl show --value --property MainPID anyproxy-gateway)" != "$before" ] || fail "the old gateway runs on"
    soon through_the_proxy || fail "nothing passes after an update"
    soon through_the_port 2>/dev/null || fail "the joined client does not come back after an update"
    systemctl reload anyproxy-gateway || fail "reload"
    soon through_the_proxy || fail "nothing passes after a reload"
    echo "an update and a reload: both ways work"
}

removed() {
    dpkg --remove anyproxy
    if [ "$MANAGER" = systemd ]; then
        for unit in anyproxy-gateway.socket anyproxy-gateway.service anyproxy-client.service; do
            ! systemctl is-active --quiet "$unit" || fail "$unit runs on without its program"
        done
        ! find /etc/systemd -name 'anyproxy*' | grep . || fail "a unit is still enabled"
    fi
    [ -e /etc/anyproxy/gateway.toml ] || fail "removing took the configuration"
    dpkg --purge anyproxy
    ! command -v anyproxy || fail "the program is still there"
    ! find /usr/lib/systemd /usr/lib/sysusers.d /usr/share/man /usr/share/doc /usr/share/bash-completion -name '*anyproxy*' | grep . ||
        fail "files of the package are still there"
    for file in /etc/anyproxy/gateway.toml /etc/anyproxy/certs/gateway.key /etc/anyproxy-client/secret; do
        [ -e "$file" ] || fail "purging took $file, which is its owner's"
    done
    echo "removed and purged; configuration, keys and secrets are still there"
}

"$1"
