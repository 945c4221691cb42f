#!/usr/bin/env bash
# Puts Istio's gateway on the ports of this machine that setup_kind.sh opened, and in reach of a CVAT of docker compose.
#   environments/local/setup_ingress_routing.sh [--name kelp] [--domain D] [--port 8180] [--network cvat_cvat] [--dry-run]
# Webhooks in CVAT then go to http://bridge.kelp:31080/…, CVAT is http://cvat-server:8080 to the bridge. Repeatable.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../steps.sh"
. "$here/../knative.sh"
. "$here/kind.sh"

name=kelp domain=127.0.0.1.sslip.io port=8180 network=cvat_cvat
while [ $# -gt 0 ]; do
  case $1 in
    --name) name=${2:?--name needs a value} && shift ;;
    --domain) domain=${2:?--domain needs a value} && shift ;;
    --port) port=${2:?--port needs a value} && shift ;;
    --network) network=${2:?--network needs a value} && shift ;;
    --dry-run) DRY_RUN=yes ;;
    -h | --help) usage ;;
    *) usage 2 >&2 ;;
  esac
  shift
done
KUBECTL=(kubectl --context "kind-$name") node=$name-control-plane

step "Programs"
need kubectl "to talk to the cluster"
need curl "to ask the gateway"
need docker "to join CVAT's network"
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

step "CVAT's network $network"
# The node joins it: CVAT calls the gateway as $ALIAS, a host with the dot that it demands, and pods find cvat-server.
if [ -z "$DRY_RUN" ] && ! docker network inspect "$network" >/dev/null 2>&1; then
  say "there is none: no CVAT of docker compose on this machine (again once it runs, or --network)"
elif [ -z "$DRY_RUN" ] && docker network inspect "$network" -f '{{range .Containers}}{{println .Name}}{{end}}' | grep -qx "$node"; then
  say "$node is in it already"
else
  run docker network connect --alias "$ALIAS" "$network" "$node"
fi

step "Check"
# Any answer of Envoy's will do: it has no route for this name, and says so.
if [ -n "$DRY_RUN" ]; then
  run curl -s -o /dev/null -H "Host: nothing.$domain" "http://127.0.0.1:$port/"
else
  answers() { curl -s -o /dev/null --max-time 5 -H "Host: nothing.$domain" "http://127.0.0.1:$port/"; }
  retry 120 answers || fail "nothing answers on 127.0.0.1:$port: was the cluster made by setup_kind.sh --port $port?"
  say "the gateway answers on 127.0.0.1:$port, and CVAT as http://$ALIAS:$NODE_PORT"
fi
