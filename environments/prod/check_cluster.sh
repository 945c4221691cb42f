#!/usr/bin/env bash
# Says what a cluster lacks before Kelp is installed on it. Changes nothing.
#   environments/prod/check_cluster.sh [--context C] [--namespace NS] [--gpu] [--monitoring]
#                                      [--secret NAME:KEY,KEY]... [--dry-run]
#   --gpu, --monitoring   GPU nodes, the Prometheus operator are needed; without it only said
#   --secret              a Secret in the namespace, and the keys it must have
# Exit code: 0 Kelp can be installed, 1 something is missing, 2 wrong usage, 3 the cluster cannot be reached.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../versions.sh"
. "$here/../steps.sh"
. "$here/../knative.sh"

namespace=kelp gpu='' monitoring='' secrets=() KUBECTL=(kubectl)
while [ $# -gt 0 ]; do
  case $1 in
    --context) KUBECTL+=(--context "${2:?--context needs a value}") && shift ;;
    -n | --namespace) namespace=${2:?--namespace needs a value} && shift ;;
    --gpu) gpu=yes ;;
    --monitoring) monitoring=yes ;;
    --secret) secrets+=("${2:?--secret needs a value}") && shift ;;
    --dry-run) DRY_RUN=yes ;;
    -h | --help) usage ;;
    *) usage 2 >&2 ;;
  esac
  shift
done

missing=0
good() { printf 'ok       %s\n' "$*"; }
note() { printf 'note     %s\n' "$*"; }
lack() { # WHAT-IS-MISSING WHAT-TO-DO
  printf 'MISSING  %s\n         → %s\n' "$1" "$2"
  missing=$((missing + 1))
}
unless_needed() { # NEEDED? WHAT WHAT-TO-DO: lacking where it is needed, else a note
  if [ -n "$1" ]; then lack "$2" "$3"; else note "$2"; fi
}
there() { "${KUBECTL[@]}" get "$@" -o name >/dev/null 2>&1; }
field() { "${KUBECTL[@]}" get "$@" 2>/dev/null || true; }

check_server() {
  local answer version
  if ! answer=$("${KUBECTL[@]}" version -o yaml 2>&1); then
    echo "check_cluster.sh: the cluster cannot be reached: ${answer##*$'\n'}" >&2
    exit 3
  fi
  version=$(awk '/^serverVersion:/ {server = 1} server && /gitVersion:/ {print $2; exit}' <<<"$answer")
  if at_least "$version" "$KUBERNETES_MINIMUM"; then
    good "Kubernetes $version"
  else
    lack "Kubernetes $version is older than $KUBERNETES_MINIMUM, which Knative $KNATIVE_VERSION wants" "upgrade the cluster"
  fi
}

check_kinds() {
  local kind
  for kind in services.serving.knative.dev:Knative inferenceservices.serving.kserve.io:KServe \
    clusterservingruntimes.serving.kserve.io:KServe virtualservices.networking.istio.io:Istio; do
    if there crd "${kind%:*}"; then good "kind ${kind%:*}"; else
      lack "kind ${kind%:*}: ${kind#*:} is not installed" "environments/local/install_kserve_knative.sh --context …, or its own way to install"
    fi
  done
  for kind in servicemonitors prometheusrules; do
    if there crd "$kind.monitoring.coreos.com"; then good "kind $kind.monitoring.coreos.com"; else
      unless_needed "$monitoring" "no kind $kind.monitoring.coreos.com: values monitoring.* must be off" "install the Prometheus operator"
    fi
  done
}

check_parts() {
  local part ready
  for part in knative-serving/controller knative-serving/activator knative-serving/autoscaler knative-serving/webhook \
    kserve/kserve-controller-manager istio-system/istiod; do
    ready=$(field deployment -n "${part%/*}" "${part#*/}" -o 'jsonpath={.status.readyReplicas}')
    if [ "${ready:-0}" -gt 0 ]; then good "$part is ready"; else
      lack "deployment $part is not ready" "kubectl -n ${part%/*} describe deployment ${part#*/}"
    fi
  done
}

check_knative() {
  local map key value why found=0
  there namespace knative-serving || return 0
  while read -r map key value why; do
    found=1
    lack "$map $key must be $value: $why" "environments/prod/configure_cluster.sh"
  done < <(changes)
  [ "$found" = 1 ] || good "Knative's settings ($(settings | wc -l) of environments/knative.settings)"
  local grace longest
  grace=$(field deployment -n knative-serving activator -o 'jsonpath={.spec.template.spec.terminationGracePeriodSeconds}')
  longest=$(config_value config-defaults max-revision-timeout-seconds)
  if [ "${grace:-0}" -lt "${longest:-600}" ]; then
    note "an activator that is replaced ends requests older than ${grace:-0} s; they may last ${longest:-600} s (its terminationGracePeriodSeconds)"
  fi
}

check_kserve() {
  local ingress deploy initializer service open
  there configmap -n kserve inferenceservice-config || return 0
  deploy=$(field configmap -n kserve inferenceservice-config -o 'jsonpath={.data.deploy}')
  if [[ $deploy =~ \"defaultDeploymentMode\":\ *\"(Serverless|Knative)\" ]]; then good "KServe deploys on Knative"; else
    note "KServe's default deployment mode is not Knative: Kelp's objects ask for it themselves"
  fi
  ingress=$(field configmap -n kserve inferenceservice-config -o 'jsonpath={.data.ingress}')
  service=$(sed -n 's/.*"localGatewayService" *: *"\([^"]*\)".*/\1/p' <<<"$ingress")
  if [ -n "$service" ] && there service -n "$(cut -d. -f2 <<<"$service")" "${service%%.*}"; then
    good "the cluster-local gateway $service"
  else
    lack "the cluster-local gateway ${service:-(none in inferenceservice-config)}" "install Knative's Istio controller, or correct localGatewayService in KServe's inferenceservice-config"
  fi
  if there clusterstoragecontainers; then
    open=$(open_storage_containers)
    if [ -z "$open" ]; then good "KServe's storage initializer"; else
      lack "KServe's storage initializer ($(xargs <<<"$open")) has no security context: Pod Security restricted refuses every model whose weights are not on a volume" \
        "environments/prod/configure_cluster.sh"
    fi
  else
    lack "no ClusterStorageContainer: no weights can be fetched" "kubectl apply -f kserve-cluster-resources.yaml of KServe's release"
  fi
  initializer=$(field configmap -n kserve inferenceservice-config -o 'jsonpath={.data.storageInitializer}')
  [[ $initializer =~ \"enableModelcar\":\ *true ]] || note "KServe's modelcars are off: no weights from oci:// (storageInitializer.enableModelcar)"
}

check_room() {
  local default gpus level
  default=$(field storageclass -o 'jsonpath={range .items[*]}{.metadata.annotations.storageclass\.kubernetes\.io/is-default-class} {end}')
  if [[ $default == *true* ]]; then good "a default StorageClass"; else
    note "no default StorageClass: name one in values bridge.persistence.storageClass and storage.pvc.storageClass, or use PostgreSQL and a bucket"
  fi
  gpus=$(field nodes -o 'jsonpath={range .items[*]}{.status.allocatable.nvidia\.com/gpu}{"\n"}{end}' | awk '{s += $1} END {print s + 0}')
  if [ "$gpus" -gt 0 ]; then good "$gpus GPUs on the nodes that are up"; else
    unless_needed "$gpu" "no node that is up offers nvidia.com/gpu (an autoscaled pool may be at zero)" "drivers and NVIDIA's device plugin on the GPU nodes"
  fi
  level=$(field namespace "$namespace" -o 'jsonpath={.metadata.labels.pod-security\.kubernetes\.io/enforce}')
  if there namespace "$namespace"; then good "namespace $namespace, Pod Security ${level:-not enforced}"; else
    note "no namespace $namespace yet: install.sh makes it, with Pod Security restricted"
  fi
}

check_rights() {
  local right
  for right in create:inferenceservices.serving.kserve.io create:statefulsets.apps create:networkpolicies.networking.k8s.io \
    create:roles.rbac.authorization.k8s.io; do
    if "${KUBECTL[@]}" auth can-i "${right%%:*}" "${right#*:}" -n "$namespace" >/dev/null 2>&1; then
      good "you may ${right/:/ } in $namespace"
    else
      lack "you may not ${right/:/ } in $namespace" "ask who governs the cluster"
    fi
  done
  if "${KUBECTL[@]}" auth can-i create clusterservingruntimes.serving.kserve.io >/dev/null 2>&1; then
    good "you may create clusterservingruntimes"
  else
    note "you may not create clusterservingruntimes: values runtimes.scope: Namespace"
  fi
}

check_secrets() {
  local secret name key keys
  for secret in "${secrets[@]}"; do
    name=${secret%%:*}
    if ! there secret -n "$namespace" "$name"; then
      lack "Secret $name in $namespace" "kubectl -n $namespace create secret generic $name --from-file=KEY=FILE"
      continue
    fi
    # Names of keys only: no value is read.
    # shellcheck disable=SC2016
    keys=$("${KUBECTL[@]}" -n "$namespace" get secret "$name" -o 'go-template={{range $k, $v := .data}}{{$k}} {{end}}')
    for key in $(tr , ' ' <<<"${secret#"$name"}" | tr -d :); do
      if [[ " $keys" == *" $key "* ]]; then good "Secret $name has $key"; else
        lack "Secret $name has no key $key (it has: ${keys% })" "add it"
      fi
    done
  done
}

if [ -n "$DRY_RUN" ]; then
  cat <<END
Would ask, by ${KUBECTL[*]}, and change nothing:
  Kubernetes at least $KUBERNETES_MINIMUM; the kinds of Knative, KServe, Istio and the Prometheus operator
  Knative's, KServe's and Istio's deployments; Knative's settings:
$(settings | awk '{printf "    %s %s %s %s\n", $1, $2, $3, $4}')
  KServe's gateway, storage initializer and modelcars; StorageClass; GPUs; namespace $namespace; your rights in it
  Secrets: ${secrets[*]:-none named}
END
  exit 0
fi
command -v kubectl >/dev/null || fail "needs kubectl"
check_server
check_kinds
check_parts
check_knative
check_kserve
check_room
check_rights
check_secrets
echo
if [ "$missing" -gt 0 ]; then
  echo "$missing missing: Kelp cannot be installed yet."
  exit 1
fi
echo "Kelp can be installed."
