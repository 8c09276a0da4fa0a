#!/usr/bin/env bash
# What Prometheus' own tool says of the metrics of a gateway and a client that have moved something, of the
# scrape example, and of every expression of the dashboard. ANYPROXY names the program (default:
# target/release/anyproxy). Installs promtool from Debian where it is absent.
set -euo pipefail
cd "$(dirname "$0")/../.."

missing=()
for each in promtool:prometheus curl:curl; do command -v "${each%%:*}" >/dev/null || missing+=("${each##*:}"); done
# Prometheus itself is started by nobody: in runlevel 1 Debian's packages start none.
[ ${#missing[@]} -eq 0 ] ||
    { apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; }
bin=${ANYPROXY:-$PWD/target/release/anyproxy}
dir=$(mktemp -d)
pids=()
finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$dir"
}
trap finish EXIT

"$bin" certs --dir "$dir/certs" --group demo >/dev/null
cat >"$dir/gateway.toml" <<TOML
listen = "127.0.0.1:0"
http = "127.0.0.1:0"
socks5 = "off"
certificate = "certs/gateway.crt"
key = "certs/gateway.key"
[[group]]
name = "demo"
secret_file = "certs/demo.secret"
TOML
# The value behind a key in a log, once it is there.
behind() { # log, key
    for _ in $(seq 200); do
        if grep -q "$2" "$1"; then
            sed 's/\x1b\[[0-9;]*m//g' "$1" | grep -om1 "$2[^ ]*" | cut -d= -f2
            return
        fi
        sleep 0.1
    done
    cat "$1" >&2
    return 1
}
NO_COLOR=1 "$bin" gateway --config "$dir/gateway.toml" --admin 127.0.0.1:0 2>"$dir/gateway.log" &
pids+=($!)
tunnels=$(behind "$dir/gateway.log" tunnels=)
proxy=$(behind "$dir/gateway.log" http=)
gateway=$(behind "$dir/gateway.log" admin=)
NO_COLOR=1 "$bin" client --gateway "$tunnels" --ca "$dir/certs/ca.crt" --group demo \
    --secret-file "$dir/certs/demo.secret" --admin 127.0.0.1:0 2>"$dir/client.log" &
pids+=($!)
client=$(behind "$dir/client.log" admin=)
curl -fsS --retry 100 --retry-max-time 20 --retry-all-errors -o /dev/null "http://$client/readyz"
# The target is the gateway's own admin address.
curl -fsS -o /dev/null -x "http://demo:$(cat "$dir/certs/demo.secret")@$proxy" "http://$gateway/healthz"

for process in "$gateway" "$client"; do
    curl -fsS "http://$process/metrics" >"$dir/metrics"
    grep -q '^anyproxy_opens_total{ingress="http",code="connected"} 1$' "$dir/metrics"
    promtool check metrics <"$dir/metrics"
done
promtool check config configs/prometheus.yml
python3 - configs/grafana/anyproxy.json >"$dir/rules.yml" <<'PYTHON'
import json
import sys

dashboard = json.load(open(sys.argv[1]))
rules = []
for panel in dashboard["panels"]:
    for target in panel.get("targets", []):
        expression = target["expr"].replace("$__rate_interval", "5m")
        rules.append({"record": f"checked:panel{panel['id']}:{target['refId'].lower()}", "expr": expression})
# JSON is YAML.
print(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
PYTHON
promtool check rules "$dir/rules.yml"
echo "metrics, scrape example and dashboard: as Prometheus wants them"
