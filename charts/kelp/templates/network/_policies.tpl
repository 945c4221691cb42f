{{/* One NetworkPolicy: (dict "root" $ "name" … "namespace" … "pods" {labels} "ingress" (list) or nil "egress" (list) or nil) */}}
{{- define "kelp.networkPolicy" }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  labels:
    {{- include "kelp.labels" (dict "root" .root "component" "network" "name" .name) | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- toYaml .pods | nindent 6 }}
  policyTypes: [{{ if hasKey . "ingress" }}Ingress{{ end }}{{ if and (hasKey . "ingress") (hasKey . "egress") }}, {{ end }}{{ if hasKey . "egress" }}Egress{{ end }}]
  {{- with .ingress }}
  ingress:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .egress }}
  egress:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* Peers by the names of namespaces, as JSON. */}}
{{- define "kelp.namespacePeers" -}}
{{- $peers := list -}}
{{- range . -}}
{{- $peers = append $peers (dict "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" .))) -}}
{{- end -}}
{{- $peers | toJson -}}
{{- end }}

{{/* Peers by addresses, as JSON. */}}
{{- define "kelp.addressPeers" -}}
{{- $peers := list -}}
{{- range . -}}
{{- $peers = append $peers (dict "ipBlock" (dict "cidr" .)) -}}
{{- end -}}
{{- $peers | toJson -}}
{{- end }}

{{/* CVAT's pods, or addresses: what may call the bridge, as JSON; empty where nothing says who it is. */}}
{{- define "kelp.cvatPeers" -}}
{{- $cvat := .Values.network.cvat -}}
{{- $peers := list -}}
{{- if or $cvat.namespaceSelector $cvat.podSelector -}}
{{- $peer := dict -}}
{{- with $cvat.namespaceSelector }}{{ $_ := set $peer "namespaceSelector" (dict "matchLabels" .) }}{{ end -}}
{{- with $cvat.podSelector }}{{ $_ := set $peer "podSelector" (dict "matchLabels" .) }}{{ end -}}
{{- $peers = append $peers $peer -}}
{{- end -}}
{{- range $cvat.cidrs -}}
{{- $peers = append $peers (dict "ipBlock" (dict "cidr" .)) -}}
{{- end -}}
{{- $peers | toJson -}}
{{- end }}

{{/* Port of a URL, by its scheme where it names none. */}}
{{- define "kelp.portOf" -}}
{{- $parts := urlParse . -}}
{{- $host := $parts.host -}}
{{- if regexMatch ":[0-9]+$" $host -}}
{{- regexFind "[0-9]+$" $host -}}
{{- else -}}
{{- ternary "443" "80" (eq $parts.scheme "https") -}}
{{- end -}}
{{- end }}
