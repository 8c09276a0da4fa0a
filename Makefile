# What a person types most. Everything else is in README.md and `anyproxy --help`.

BIN := target/release/anyproxy

.PHONY: build certs run-gateway run-client run-echo demo image test lint bench

build:
	cargo build --release --package anyproxy

# The gateway's CA, its certificate, and a secret for the group "demo", all in certs/. What is there
# stays; only an expiring certificate is renewed.
certs: build
	$(BIN) certs --dir certs --group demo

run-gateway: certs
	$(BIN) gateway --config configs/gateway.toml

# Starts before or after the gateway, but only once its certificates and secret are there.
# TRANSPORT=quic and TRANSPORT=ws take only one.
TRANSPORT ?= auto
run-client: build
	@until [ -f certs/demo.secret ]; do echo "waiting for certs/demo.secret (make run-gateway makes it)"; sleep 2; done
	$(BIN) client --config configs/client.toml --transport $(TRANSPORT)

# A target for the forwarded port 8000 of configs/client.toml: it echoes.
run-echo:
	python3 -c 'import socketserver as s; s.ThreadingTCPServer.allow_reuse_address = True; H = type("H", (s.BaseRequestHandler,), {"handle": lambda h: [h.request.sendall(b) for b in iter(lambda: h.request.recv(65536), b"")]}); s.ThreadingTCPServer(("127.0.0.1", 9000), H).serve_forever()'

demo:
	cargo run --release --package anyproxy -- demo

image:
	docker build --tag anyproxy .

# A demo in containers, and only what its user sees: make demo-basic, demo-quic-lossy, demo-ws-firewall.
demo-%:
	docker compose --profile $* build
	docker compose --profile $* run --rm $(lastword $(subst -, ,$*))-user; \
	    status=$$?; docker compose --profile $* down --volumes; exit $$status

test:
	cargo test --workspace

# AnyProxy beside other tunnels (bench/README.md). Needs root; BENCH=--quick only looks whether it works.
BENCH ?=
bench: build
	bench/run $(BENCH)

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	python3 .ci/directions.py
