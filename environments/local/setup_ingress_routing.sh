#!/usr/bin/env bash
# Puts Istio's gateway on the ports of this machine that setup_kind.sh opened, and the bridge on a name there. Repeatable.
#   environments/local/setup_ingress_routing.sh [--context kind-kelp] [--domain D] [--port 8180] [--dry-run]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../steps.sh"
. "$here/../knative.sh"
. "$here/kind.sh"

context=kind-kelp domain=127.0.0.1.sslip.io port=8180
while [ $# -gt 0 ]; do
  case $1 in
    --context) context=${2:?--context needs a value} && shift ;;
    --domain) domain=${2:?--domain needs a value} && shift ;;
    --port) port=${2:?--port needs a value} && shift ;;
    --dry-run) DRY_RUN=yes ;;
    -h | --help) usage ;;
    *) usage 2 >&2 ;;
  esac
  shift
done
KUBECTL=(kubectl --context "$context")

step "Programs"
need kubectl "to talk to the cluster"
need curl "to ask the gateway"
[ -n "$DRY_RUN" ] || "${KUBECTL[@]}" -n istio-system get service istio-ingressgateway >/dev/null ||
  fail "no gateway in istio-system: install_kserve_knative.sh first"

step "The gateway on the node's ports $NODE_PORT and $NODE_TLS_PORT"
run "${KUBECTL[@]}" -n istio-system patch service istio-ingressgateway --type merge -p "{\"spec\": {\"type\": \"NodePort\", \"ports\": [
  {\"name\": \"status-port\", \"port\": 15021, \"targetPort\": 15021},
  {\"name\": \"http2\", \"port\": 80, \"targetPort\": 8080, \"nodePort\": $NODE_PORT},
  {\"name\": \"https\", \"port\": 443, \"targetPort\": 8443, \"nodePort\": $NODE_TLS_PORT}]}}"

step "Models under $domain"
run "${KUBECTL[@]}" -n knative-serving patch knativeserving knative-serving --type merge \
  -p "{\"spec\": {\"config\": {\"domain\": {\"$domain\": \"\"}}}}"
kserve_settings=$(kserve_patch "$domain")
run "${KUBECTL[@]}" -n kserve patch configmap inferenceservice-config --type merge -p "$kserve_settings"
run "${KUBECTL[@]}" -n kserve rollout restart deployment/kserve-controller-manager
run "${KUBECTL[@]}" -n kserve rollout status deployment/kserve-controller-manager --timeout=300s

step "The bridge under bridge.$domain"
run_with "apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: bridge, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
    - port: {number: 80, name: http, protocol: HTTP}
      hosts: [bridge.$domain]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bridge, namespace: istio-system}
spec:
  hosts: [bridge.$domain]
  gateways: [bridge]
  http:
    - route: [{destination: {host: bridge.kelp.svc.cluster.local, port: {number: 8000}}}]" "${KUBECTL[@]}" apply -f -

step "Check"
# Any answer of Envoy's will do: it has no route for this name, and says so.
if [ -n "$DRY_RUN" ]; then
  run curl -s -o /dev/null -H "Host: nothing.$domain" "http://127.0.0.1:$port/"
else
  answers() { curl -s -o /dev/null --max-time 5 -H "Host: nothing.$domain" "http://127.0.0.1:$port/"; }
  retry 120 answers || fail "nothing answers on 127.0.0.1:$port: was the cluster made by setup_kind.sh --port $port?"
  say "the gateway answers on 127.0.0.1:$port; the bridge's address will be http://bridge.$domain:$port"
fi
