#!/usr/bin/env bash
# Installs or upgrades Kelp on a cluster: checks it, the namespace, the chart, then its test. May be repeated.
#   environments/prod/install.sh [--context C] [--namespace NS] [--environment prod] [--values FILE]... [--set K=V]...
#                                [--secret NAME:KEY,KEY]... [--gpu] [--monitoring] [--no-test] [--dry-run]
#   --environment   whose environments/NAME/values.yaml is taken; --values and --set come after it
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../steps.sh"

root=$(cd "$here/../.." && pwd) namespace=kelp environment=prod values=() check=() test=yes KUBECTL=(kubectl) HELM=(helm)
while [ $# -gt 0 ]; do
  case $1 in
    --context)
      KUBECTL+=(--context "${2:?--context needs a value}") HELM+=(--kube-context "$2") check+=(--context "$2") && shift
      ;;
    -n | --namespace) namespace=${2:?--namespace needs a value} && shift ;;
    --environment) environment=${2:?--environment needs a value} && shift ;;
    --values) values+=(--values "${2:?--values needs a value}") && shift ;;
    --set) values+=(--set "${2:?--set needs a value}") && shift ;;
    --secret) check+=(--secret "${2:?--secret needs a value}") && shift ;;
    --gpu | --monitoring) check+=("$1") ;;
    --no-test) test='' ;;
    --dry-run) DRY_RUN=yes ;;
    -h | --help) usage ;;
    *) usage 2 >&2 ;;
  esac
  shift
done
file=$root/environments/$environment/values.yaml
[ -f "$file" ] || [ -n "$DRY_RUN" ] || fail "no environments/$environment/values.yaml"
need kubectl "to talk to the cluster"
need helm "to install"

# A Secret that is not there would be a quarter of an hour of waiting, and no word of it in the end.
rendered=$(helm template kelp "$root/charts/kelp" --namespace "$namespace" --values "$file" "${values[@]}" \
  --show-only templates/bridge/statefulset.yaml 2>/dev/null) || rendered=''
while read -r secret; do
  [[ " ${check[*]} " == *" $secret:"* ]] || check+=(--secret "$secret")
done < <(sed -n 's/^ *secretName: *//p' <<<"$rendered" | tr -d '"' | sort -u)

step "Check"
run "$here/check_cluster.sh" --namespace "$namespace" "${check[@]}"

step "Namespace $namespace, Pod Security restricted"
run_with "apiVersion: v1
kind: Namespace
metadata:
  name: $namespace
  labels: {pod-security.kubernetes.io/enforce: restricted}" "${KUBECTL[@]}" apply --server-side --force-conflicts -f -

step "Kelp"
# Back to what was there before where it does not come up.
run "${HELM[@]}" upgrade --install kelp "$root/charts/kelp" --namespace "$namespace" --values "$file" "${values[@]}" \
  --atomic --wait --timeout 15m

if [ -n "$test" ]; then
  step "A signed ping, and one real inference where the values name a model (test.model)"
  run "${HELM[@]}" test kelp --namespace "$namespace" --timeout 15m
fi

step "Next: the models, whose weights go into the platform's storage"
echo "kelp deploy environments/models --patch environments/$environment/cards.yaml -n $namespace"
