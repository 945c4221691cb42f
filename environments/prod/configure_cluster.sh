#!/usr/bin/env bash
# Sets on a cluster what Knative has off by default and Kelp needs (environments/knative.settings), and a security context
# for KServe's storage initializer, without which Pod Security "restricted" refuses it. May be repeated.
#   environments/prod/configure_cluster.sh [--context C] [--dry-run]
# Where Knative's operator runs, its KnativeServing object is changed, else the ConfigMaps themselves.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../steps.sh"
. "$here/../knative.sh"

KUBECTL=(kubectl)
while [ $# -gt 0 ]; do
  case $1 in
    --context) KUBECTL+=(--context "${2:?--context needs a value}") && shift ;;
    --dry-run) DRY_RUN=yes ;;
    -h | --help) usage ;;
    *) usage 2 >&2 ;;
  esac
  shift
done

# set_knative CONFIGMAP KEY VALUE
set_knative() {
  if [ -n "$operator" ]; then
    run "${KUBECTL[@]}" -n knative-serving patch knativeserving "$operator" --type merge \
      -p "{\"spec\":{\"config\":{\"${1#config-}\":{\"$2\":\"$3\"}}}}"
  else
    run "${KUBECTL[@]}" -n knative-serving patch configmap "$1" --type merge -p "{\"data\":{\"$2\":\"$3\"}}"
  fi
}

operator=''
step "Knative's settings"
if "${KUBECTL[@]}" get namespace knative-serving >/dev/null 2>&1; then
  operator=$("${KUBECTL[@]}" -n knative-serving get knativeserving -o 'jsonpath={.items[0].metadata.name}' 2>/dev/null || true)
  found=$(changes)
elif [ -n "$DRY_RUN" ]; then
  say "no cluster with Knative is reached: this is what a new installation gets"
  found=$(settings | awk '{printf "%s %s %s", $1, $2, $4; for (i = 5; i <= NF; i++) printf " %s", $i; print ""}')
else
  fail "no namespace knative-serving on this cluster, or it is not reached"
fi
while read -r map key value why; do
  [ -n "$map" ] || continue
  say "$why"
  set_knative "$map" "$key" "$value"
done <<<"$found"
[ -n "$found" ] || say "nothing to change"

# A ConfigMap's change is taken up by Knative within seconds; the operator's needs a reconciliation.
nothing_left() { [ -z "$(changes)" ]; }
if [ -n "$found" ] && [ -z "$DRY_RUN" ]; then
  retry 120 nothing_left || fail "still not so: $(changes | head -n 1)"
  say "checked: all of environments/knative.settings"
fi

step "KServe's storage initializer"
if [ -n "$DRY_RUN" ] && ! "${KUBECTL[@]}" get clusterstoragecontainers >/dev/null 2>&1; then
  open=default
else
  open=$(open_storage_containers)
fi
for container in $open; do
  run "${KUBECTL[@]}" patch clusterstoragecontainer "$container" --type merge -p "$RESTRICTED_PATCH"
done
[ -n "$open" ] || say "nothing to change"
[ -n "$DRY_RUN" ] || [ -z "$(open_storage_containers)" ] || fail "still without a security context: $(open_storage_containers)"
