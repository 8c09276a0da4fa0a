# The image of AnyProxy: `docker build -t anyproxy .`
#
#   --build-arg BINARY=prebuilt    takes target/release/anyproxy instead of compiling; PREBUILT names another file of
#                                  the context
#   --build-arg RUNTIME_IMAGE=…    any image with glibc: the program needs nothing else, no shell either
#   --platform linux/arm64         on amd64, or the reverse, is a cross build: nothing is emulated
#
# Needs BuildKit, Docker's default since version 23. No stage holds a key: those come from a volume.
ARG BUILD_IMAGE=rust:1-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim
ARG DEMO_IMAGE=${RUNTIME_IMAGE}
ARG BINARY=compiled

# The toolchain for the target's architecture, which runs on the builder's own.
FROM --platform=$BUILDPLATFORM ${BUILD_IMAGE} AS toolchain
ARG BUILDARCH
ARG TARGETARCH
WORKDIR /src
COPY docker/toolchain.sh docker/
RUN sh docker/toolchain.sh "$BUILDARCH" "$TARGETARCH"

# The manifests with empty sources. What is copied from here changes only with a manifest, so the
# layer with the compiled dependencies outlives every change of the sources.
FROM --platform=$BUILDPLATFORM ${BUILD_IMAGE} AS manifests
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY crates crates
COPY tests/Cargo.toml tests/
RUN find crates -type f ! -name Cargo.toml -delete && \
    for each in crates/* tests; do mkdir -p "$each/src" && touch "$each/src/lib.rs"; done && \
    echo 'fn main() {}' >crates/anyproxy/src/main.rs

FROM toolchain AS compile
COPY --from=manifests /src ./
RUN . /toolchain.env && cargo build --release --locked --package anyproxy
COPY crates crates
# Built into the program (`anyproxy service`).
COPY configs/systemd configs/systemd
# Cargo goes by the time of files, and these are older than their empty stand-ins.
RUN find crates -type f -exec touch {} + && \
    . /toolchain.env && cargo build --release --locked --package anyproxy && \
    install -D "target/$CARGO_BUILD_TARGET/release/anyproxy" /out/usr/local/bin/anyproxy && \
    install -D -m 644 /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ca-certificates.crt

# Where the program comes from. A prebuilt one brings no system roots: clients trust by pin or CA
# file, or the base image has them.
FROM scratch AS compiled
COPY --from=compile /out /out

FROM scratch AS prebuilt
ARG PREBUILT=target/release/anyproxy
COPY ${PREBUILT} /out/usr/local/bin/anyproxy

FROM ${BINARY} AS binary

# What the demos of compose.yaml need beside the program: a target, a user with curl, a bad link, a
# firewall.
FROM ${DEMO_IMAGE} AS demo
COPY docker/demo /demo
RUN ["/bin/sh", "/demo/install.sh"]
COPY --from=binary /out /
USER 65532:65532

FROM ${RUNTIME_IMAGE} AS runtime
COPY --from=binary /out /
# Keys, certificates and the store of groups; a volume there gets this owner.
COPY --chown=65532:65532 docker/data /data
WORKDIR /data
USER 65532:65532
EXPOSE 8443/tcp 8443/udp 8088/tcp 1080/tcp
# Asks the gateway's HTTP proxy; ANYPROXY_HEALTH=HOST:PORT names something else, for a client one of
# its forwards.
HEALTHCHECK --interval=10s --timeout=6s --start-period=5s --retries=3 CMD ["/usr/local/bin/anyproxy", "health"]
ENTRYPOINT ["/usr/local/bin/anyproxy"]
CMD ["--help"]
