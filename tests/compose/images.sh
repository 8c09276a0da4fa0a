# shellcheck shell=bash disable=SC2154
# Base images from this machine's files, and the images under test. Sourced.

# Adds commands and the libraries that they load to a tree.
add() { # tree, command…
    local tree=$1 each file
    shift
    for each; do
        file=$(command -v "$each")
        install -D "$(realpath "$file")" "$tree/bin/$(basename "$file")"
        add_libraries "$tree" "$file"
    done
}

add_libraries() { # tree, program
    # Of a static program ldd says so, and fails.
    { ldd "$2" 2>/dev/null || :; } | awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }' |
        while read -r library; do
            [ -e "$1$library" ] || install -D "$(realpath "$library")" "$1$library"
        done
}

make_bases() {
    local tree
    # For the program: the libraries that it loads, and nothing else.
    tree=$dir/base
    mkdir -p "$tree"/etc "$tree"/tmp
    echo 'hosts: files dns' >"$tree/etc/nsswitch.conf"
    add_libraries "$tree" "$program"
    chmod 1777 "$tree/tmp"
    # For the demos: a shell and tools as well.
    cp -a "$tree" "$dir/demo-base"
    tree=$dir/demo-base
    add "$tree" busybox curl nft ip ethtool tinyproxy
    chroot "$tree" /bin/busybox --install -s /bin
    for each in base demo-base; do
        tar -C "$dir/$each" -c . | docker import - "$name-$each" >/dev/null
    done
}

build_images() {
    # A tree of its own, because the program may be anybody's.
    src=$dir/src
    mkdir -p "$src/target/release"
    cp -r Dockerfile .dockerignore compose.yaml docker "$src/"
    cp "$program" "$src/target/release/anyproxy"
    # What must not get into an image.
    mkdir "$src/certs"
    echo secret >"$src/certs/gateway.key"
    export BINARY=prebuilt RUNTIME_IMAGE=$name-base DEMO_IMAGE=$name-demo-base
    export ANYPROXY_IMAGE=$name ANYPROXY_DEMO_IMAGE=$name-demo COMPOSE_PROJECT_NAME=$name DEMO_PORT=0
    (cd "$src" && timeout 300 "${compose[@]}" --profile basic build) >"$dir/build.log" 2>&1 ||
        { tail -40 "$dir/build.log" >&2; fail "the images cannot be built"; }
}

# The image is small, runs as nobody in particular, checks its own health, and holds no key.
check_image() {
    local user files
    docker run --rm --network none "$name" --version
    user=$(docker image inspect --format '{{.Config.User}}' "$name")
    [ "$user" = 65532:65532 ] || fail "the image runs as '$user'"
    docker image inspect --format '{{.Config.Healthcheck.Test}}' "$name" | grep -q 'anyproxy health' ||
        fail "the image has no health check"
    docker create --name "$name-look" "$name" >/dev/null
    files=$(docker export "$name-look" | tar -t)
    docker rm "$name-look" >/dev/null
    ! grep -E '\.(key|secret|db)$' <<<"$files" || fail "the image holds a key"
    printf 'image of %d MiB, user %s, no key inside\n' \
        $(($(docker image inspect --format '{{.Size}}' "$name") / 1048576)) "$user"
}
