# Sourced: what Knative and KServe must have; the table of Knative's settings is knative.settings. KUBECTL is the kubectl to use, an array.
# shellcheck shell=bash disable=SC2154
SETTINGS_TABLE=$(dirname "${BASH_SOURCE[0]}")/knative.settings

# settings: the table's rows, without comments.
settings() { sed -e 's/^#.*//' -e '/^ *$/d' "$SETTINGS_TABLE"; }

# wanted HOW VALUE HAVE: the value to set where HAVE is there now; nothing where that will do.
wanted() {
  local how=$1 value=$2 have=$3
  case $how in
    is) [ "$have" = "$value" ] || echo "$value" ;;
    min) [ "${have:-0}" -ge "$value" ] 2>/dev/null || echo "$value" ;;
    has) [[ ,$have, == *,$value,* ]] || echo "${have:+$have,}$value" ;;
  esac
}

# config_value CONFIGMAP KEY: what Knative's ConfigMap says; empty where it says nothing (a default of Knative's).
config_value() {
  "${KUBECTL[@]}" -n knative-serving get configmap "$1" -o "go-template={{with .data}}{{with index . \"$2\"}}{{.}}{{end}}{{end}}"
}

# changes: "CONFIGMAP KEY VALUE WHAT-FOR" of each setting that has to change on this cluster.
changes() {
  local map key how value why have to
  while read -r map key how value why; do
    have=$(config_value "$map" "$key") || return 1
    # Knative's own list holds kind.local; it is replaced, not added to, by one that is set.
    [ "$map/$key/$have" = config-deployment/registries-skipping-tag-resolving/ ] && continue
    # On by default.
    [ "$map/$key/$have" = config-autoscaler/enable-scale-to-zero/ ] && continue
    to=$(wanted "$how" "$value" "$have")
    [ -z "$to" ] || printf '%s %s %s %s\n' "$map" "$key" "$to" "$why"
  done < <(settings)
}

# What KServe's init container lacks under Pod Security "restricted".
# shellcheck disable=SC2034
RESTRICTED_PATCH='{"spec": {"container": {"securityContext": {"allowPrivilegeEscalation": false, "runAsNonRoot": true,
  "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}}}}}'

# open_storage_containers: names of KServe's storage containers that "restricted" would refuse.
open_storage_containers() {
  # shellcheck disable=SC2016
  "${KUBECTL[@]}" get clusterstoragecontainers -o 'go-template={{range .items}}{{.metadata.name}} {{with .spec.container.securityContext
    }}{{.runAsNonRoot}} {{.allowPrivilegeEscalation}}{{end}}{{"\n"}}{{end}}' | awk '$2 != "true" || $3 != "false" {print $1}'
}

# knative_serving VERSION DOMAIN: the object that Knative's operator makes an installation of, with all of the table.
knative_serving() {
  local map key how value why last=''
  cat <<END
apiVersion: operator.knative.dev/v1beta1
kind: KnativeServing
metadata:
  name: knative-serving
  namespace: knative-serving
spec:
  version: "$1"
  ingress:
    istio:
      enabled: true
  config:
    domain:
      "$2": ""
    network:
      ingress-class: istio.ingress.networking.knative.dev
END
  while read -r map key how value why; do
    [ "$how" = has ] && value=kind.local,ko.local,dev.local
    [ "$map" = "$last" ] || printf '    %s:\n' "${map#config-}"
    last=$map
    printf '      %s: "%s"\n' "$key" "$value"
  done < <(settings)
}

# kserve_patch DOMAIN: KServe's settings on Knative and Istio, as a merge patch of its ConfigMap.
kserve_patch() {
  cat <<END
{"data": {"deploy": "{\"defaultDeploymentMode\": \"Serverless\"}", "ingress": "{\
\"ingressGateway\": \"knative-serving/knative-ingress-gateway\", \
\"localGateway\": \"knative-serving/knative-local-gateway\", \
\"localGatewayService\": \"knative-local-gateway.istio-system.svc.cluster.local\", \
\"kserveIngressGateway\": \"kserve/kserve-ingress-gateway\", \"enableGatewayApi\": false, \
\"ingressDomain\": \"$1\", \"ingressClassName\": \"istio\", \
\"domainTemplate\": \"{{ .Name }}-{{ .Namespace }}.{{ .IngressDomain }}\", \
\"urlScheme\": \"http\", \"disableIstioVirtualHost\": false, \"disableIngressCreation\": false}"}}
END
}
