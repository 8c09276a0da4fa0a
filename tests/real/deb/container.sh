# shellcheck shell=bash disable=SC2154,SC2034
# A container from this machine's files, with systemd as its first process where that can be. Sourced.

# Leaves the container's first process in `box`, and in `manager` what starts services there.
start_container() {
    local groups
    mkdir "$dir/layers" "$dir/root"
    groups=$(findmnt --noheadings --first-only --types cgroup2 --output TARGET || true)
    cgroup=$groups/anyproxy-deb-$$
    if [ -n "$groups" ] && mkdir "$cgroup" 2>/dev/null && boot systemd; then
        manager=systemd
        return
    fi
    echo "systemd does not run in a container here:"
    tail -n 5 "$dir/console" 2>/dev/null | sed 's/^/    /' || :
    end_container
    mkdir -p "$dir/layers" "$dir/root"
    cgroup=
    boot hand || { cat "$dir/console" >&2; return 1; }
    manager=hand
}

boot() { # systemd, or hand
    (
        # The namespace of control groups begins where its first process is.
        [ -z "$cgroup" ] || echo "$BASHPID" >"$cgroup/cgroup.procs"
        exec unshare --mount --net --uts --ipc --pid ${cgroup:+--cgroup} --fork --kill-child --propagation private \
            bash tests/real/deb/boot.sh "$dir" "$1"
    ) >"$dir/console" 2>&1 </dev/null &
    unshare=$!
    for _ in $(seq 300); do
        kill -0 "$unshare" 2>/dev/null || return 1
        box=$(pgrep -P "$unshare" || true)
        if [ -n "$box" ] && ready "$1"; then return 0; fi
        sleep 0.1
    done
    return 1
}

ready() { # systemd, or hand
    case $1 in
    systemd) within systemctl is-active --quiet basic.target 2>/dev/null ;;
    hand) within test -e /run/booted 2>/dev/null ;;
    esac
}

# Runs a command in the container.
within() {
    nsenter --target "$box" --mount --net --uts --ipc --pid ${cgroup:+--cgroup} --root --wd \
        env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"
}

# With its first process everything in it ends.
end_container() {
    [ -z "$box" ] || kill -KILL "$box" 2>/dev/null || :
    [ -z "${unshare:-}" ] || wait "$unshare" 2>/dev/null || :
    box=''
    unshare=''
    if [ -n "${cgroup:-}" ]; then
        for _ in $(seq 50); do
            # Those of its services are below it; the last process leaves a moment after the first.
            find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || :
            [ -d "$cgroup" ] || break
            sleep 0.1
        done
        cgroup=
    fi
}
