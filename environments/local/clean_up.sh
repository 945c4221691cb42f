#!/usr/bin/env bash
# Takes away what the scripts beside it made: Kelp alone, or the whole cluster with all of its data.
#   environments/local/clean_up.sh [--name kelp] [--namespace kelp] [--cluster] [--data] [--yes] [--dry-run]
#   --data      the volumes too: the bridge's database, weights    --cluster   the kind cluster
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../steps.sh"
. "$here/kind.sh"

name=kelp namespace=kelp cluster='' data='' yes=''
while [ $# -gt 0 ]; do
  case $1 in
    --name) name=${2:?--name needs a value} && shift ;;
    -n | --namespace) namespace=${2:?--namespace needs a value} && shift ;;
    --cluster) cluster=yes ;;
    --data) data=yes ;;
    --yes) yes=yes ;;
    --dry-run) DRY_RUN=yes ;;
    -h | --help) usage ;;
    *) usage 2 >&2 ;;
  esac
  shift
done
KUBECTL=(kubectl --context "kind-$name")

sure() { # QUESTION
  [ -z "$DRY_RUN$yes" ] || return 0
  [ -t 0 ] || fail "$1 Say --yes."
  read -r -p "$1 [y/N] " answer
  [ "$answer" = y ] || exit 1
}

if [ -n "$cluster" ]; then
  step "Cluster $name"
  if [ -z "$DRY_RUN" ] && ! clusters | grep -qx "$name"; then
    say "there is none"
  else
    sure "Delete the kind cluster $name and all that is in it?"
    run kind delete cluster --name "$name"
  fi
  exit 0
fi

step "Kelp in namespace $namespace"
need helm "to uninstall"
need kubectl "to talk to the cluster"
sure "Take Kelp out of namespace $namespace of kind-$name${data:+, with its data}?"
run helm --kube-context "kind-$name" -n "$namespace" uninstall kelp --ignore-not-found --wait --timeout 5m
run "${KUBECTL[@]}" -n "$namespace" delete inferenceservices,configmaps -l app.kubernetes.io/part-of=kelp --ignore-not-found
if [ -n "$data" ]; then
  run "${KUBECTL[@]}" -n "$namespace" delete persistentvolumeclaims -l app.kubernetes.io/part-of=kelp --ignore-not-found
else
  say "the volumes stay (--data takes them too)"
fi

step "Check"
if [ -z "$DRY_RUN" ]; then
  left=$("${KUBECTL[@]}" -n "$namespace" get inferenceservices,statefulsets,services -l app.kubernetes.io/part-of=kelp -o name)
  [ -z "$left" ] || fail "still there: $(xargs <<<"$left")"
  say "nothing of Kelp is left in $namespace"
fi
