#!/usr/bin/env bash
# Installs what Kelp stands on: cert-manager, Istio, Knative Serving, KServe; a check after each. May be repeated.
#   environments/local/install_kserve_knative.sh [--context kind-kelp] [--domain D] [--dry-run]
#   --domain   of the models that are reached from outside (127.0.0.1.sslip.io, whose names lead to this machine)
# Versions: environments/versions.sh. Manifests come from KELP_RELEASES, Istio from istioctl of that version.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../versions.sh"
. "$here/../steps.sh"
. "$here/../knative.sh"

context=kind-kelp domain=127.0.0.1.sslip.io
while [ $# -gt 0 ]; do
  case $1 in
    --context) context=${2:?--context needs a value} && shift ;;
    --domain) domain=${2:?--domain needs a value} && shift ;;
    --dry-run) DRY_RUN=yes ;;
    -h | --help) usage ;;
    *) usage 2 >&2 ;;
  esac
  shift
done
KUBECTL=(kubectl --context "$context")

apply() { run "${KUBECTL[@]}" apply --server-side --force-conflicts -f "$@"; }
# rolled_out NAMESPACE DEPLOYMENT…: they are up.
rolled_out() {
  local namespace=$1 name
  shift
  for name in "$@"; do run "${KUBECTL[@]}" -n "$namespace" rollout status "deployment/$name" --timeout=300s; done
}

step "Programs, and the cluster of context $context"
need kubectl "to talk to the cluster"
need istioctl "version $ISTIO_VERSION"
if [ -z "$DRY_RUN" ]; then
  have=$(istioctl version --remote=false --short 2>/dev/null | tail -n 1)
  [ "${have##*: }" = "$ISTIO_VERSION" ] || fail "istioctl is ${have:-of unknown version}; needs $ISTIO_VERSION"
  "${KUBECTL[@]}" get nodes >/dev/null || fail "the cluster of context $context is not reached (setup_kind.sh makes one)"
  say "checked"
fi

step "cert-manager $CERT_MANAGER_VERSION: certificates of KServe's webhooks"
apply "$RELEASES/cert-manager/cert-manager/releases/download/v$CERT_MANAGER_VERSION/cert-manager.yaml"
rolled_out cert-manager cert-manager cert-manager-cainjector cert-manager-webhook

step "Istio $ISTIO_VERSION: gateways"
run istioctl install --context "$context" -y --set profile=default
rolled_out istio-system istiod istio-ingressgateway

step "Knative Serving $KNATIVE_VERSION: scale to zero"
apply "$RELEASES/knative/operator/releases/download/knative-v$KNATIVE_VERSION/operator.yaml"
rolled_out default knative-operator operator-webhook
run_with 'apiVersion: v1
kind: Namespace
metadata: {name: knative-serving}' "${KUBECTL[@]}" apply -f -
# The operator's own webhook has to be up before it takes this.
run_with --retry 60 "$(knative_serving "$KNATIVE_VERSION" "$domain")" "${KUBECTL[@]}" apply -f -
run "${KUBECTL[@]}" -n knative-serving wait --for=condition=Ready knativeserving/knative-serving --timeout=600s
rolled_out knative-serving controller activator autoscaler webhook

step "KServe $KSERVE_VERSION: InferenceServices"
apply "$RELEASES/kserve/kserve/releases/download/v$KSERVE_VERSION/kserve.yaml"
rolled_out kserve kserve-controller-manager
run retry 120 "${KUBECTL[@]}" apply --server-side --force-conflicts \
  -f "$RELEASES/kserve/kserve/releases/download/v$KSERVE_VERSION/kserve-cluster-resources.yaml"
kserve_settings=$(kserve_patch "$domain")
run "${KUBECTL[@]}" -n kserve patch configmap inferenceservice-config --type merge -p "$kserve_settings"
# KServe reads its ConfigMap's gateways at its start only.
run "${KUBECTL[@]}" -n kserve rollout restart deployment/kserve-controller-manager
rolled_out kserve kserve-controller-manager

step "Settings"
run "$(dirname "$here")/prod/configure_cluster.sh" --context "$context"

step "Check"
run "$(dirname "$here")/prod/check_cluster.sh" --context "$context"
