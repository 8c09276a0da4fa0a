# shellcheck shell=bash disable=SC2154
# A Docker engine, and the client programs for it. Sourced.

engine_answers() { timeout 10 docker version --format '{{.Server.Version}}' 2>/dev/null; }

# Leaves the process in `engine` if it had to be started.
use_engine() {
    local version driver tables
    if version=$(engine_answers); then
        echo "Docker engine $version, which runs already"
        return
    fi
    export DOCKER_HOST=unix://$dir/docker.sock
    for tables in true false; do
        for driver in overlay2 vfs; do
            if start_engine "$driver" "$tables"; then
                echo "Docker engine $(engine_answers), started for this, with $driver"
                return
            fi
        done
    done
    tail -20 "$dir"/dockerd-*.log >&2
    fail "no Docker engine starts"
}

start_engine() { # storage driver, whether to use iptables
    # Namespaces of its own: it changes no address, rule or mount of this machine, and whatever it
    # starts ends with it.
    unshare --net --mount --pid --fork --kill-child --mount-proc sh -c '
        ip link set lo up
        exec dockerd --host "unix://$0/docker.sock" --data-root "$0/data" --exec-root "$0/exec" \
            --pidfile "$0/docker.pid" --storage-driver "$1" --iptables="$2"' \
        "$dir" "$1" "$2" >"$dir/dockerd-$1-$2.log" 2>&1 &
    engine=$!
    for _ in $(seq 300); do
        engine_answers >/dev/null && return 0
        kill -0 "$engine" 2>/dev/null || break
        read -rt 0.2 <> <(:) || :
    done
    end_engine
    return 1
}

# Ends the first process of the namespaces, and with it every container, mount and network there. Its
# parent, `unshare`, reaps it and ends too.
end_engine() {
    # shellcheck disable=SC2046 # there is one at most
    kill -KILL $(pgrep -P "$engine") 2>/dev/null || kill -KILL "$engine" 2>/dev/null || true
    wait "$engine" 2>/dev/null || true
    engine=
}

# Puts a `docker` with BuildKit first in the path, and chooses between Compose 2 and 1.
use_client() {
    local clients
    export DOCKER_BUILDKIT=1 COMPOSE_DOCKER_CLI_BUILD=1
    mkdir "$dir/bin"
    mapfile -t clients < <(clients_with_buildkit)
    [ ${#clients[@]} -gt 0 ] || fail "no docker client with BuildKit: apt-get install docker.io, or docker-buildx"
    ln -s "${clients[0]}" "$dir/bin/docker"
    PATH=$dir/bin:$PATH
    compose=(docker compose)
    docker compose version >/dev/null 2>&1 || compose=(docker-compose)
    "${compose[@]}" version --short | sed 's/^/Docker Compose /'
}
