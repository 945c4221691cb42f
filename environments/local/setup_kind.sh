#!/usr/bin/env bash
# Makes a Kubernetes cluster of one node in Docker, by kind, and hands it Kelp's images if they are built. Repeatable.
#   environments/local/setup_kind.sh [--name kelp] [--port 8180] [--tls-port 8543] [--dry-run]
#   --port, --tls-port   on 127.0.0.1, where setup_ingress_routing.sh puts the gateway
# Next: install_kserve_knative.sh, setup_ingress_routing.sh.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../versions.sh"
. "$here/../steps.sh"
. "$here/kind.sh"

name=kelp port=8180 tls_port=8543
while [ $# -gt 0 ]; do
  case $1 in
    --name) name=${2:?--name needs a value} && shift ;;
    --port) port=${2:?--port needs a value} && shift ;;
    --tls-port) tls_port=${2:?--tls-port needs a value} && shift ;;
    --dry-run) DRY_RUN=yes ;;
    -h | --help) usage ;;
    *) usage 2 >&2 ;;
  esac
  shift
done
KUBECTL=(kubectl --context "kind-$name")

step "Programs"
need docker "its daemon runs the node"
need kubectl "to talk to the cluster"
need kind "version $KIND_VERSION or later"
if [ -z "$DRY_RUN" ]; then
  docker info >/dev/null 2>&1 || fail "Docker's daemon does not answer"
  have=$(kind version | sed 's/^kind v\([0-9.]*\).*/\1/')
  at_least "$have" "$KIND_VERSION" || fail "kind $have is older than $KIND_VERSION, which knows $KIND_NODE"
  say "checked"
fi

step "Cluster $name"
if clusters | grep -qx "$name"; then
  say "is there already"
else
  run_with "$(kind_cluster "$port" "$tls_port")" kind create cluster --name "$name" --image "$KIND_NODE" --wait 180s --config -
fi
run "${KUBECTL[@]}" wait --for=condition=Ready node --all --timeout=180s

step "Kelp's images"
found=''
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$here/../../kelp/__init__.py")
for image in kelp-bridge kelp-yolo-onnx kelp-yolo kelp-coralscop; do
  if have_image "kind.local/$image:$version"; then
    found=yes
    run kind load docker-image --name "$name" "kind.local/$image:$version"
  fi
done
[ -n "$found" ] || say "none are built; for images of your own: images/build.sh --prefix kind.local/, and this once more"
