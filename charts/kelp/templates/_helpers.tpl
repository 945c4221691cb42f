{{/* Labels of the object: (dict "root" $ "component" "bridge" "name" "bridge") */}}
{{- define "kelp.labels" -}}
app.kubernetes.io/name: {{ .name | default .component }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: kelp
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{/* What finds the pods of a component. */}}
{{- define "kelp.selector" -}}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: kelp
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{/* Reference of an image: (dict "root" $ "image" "kelp-bridge") */}}
{{- define "kelp.image" -}}
{{- $images := .root.Values.images -}}
{{- $digest := get $images.digests .image -}}
{{- if $digest -}}
{{ $images.prefix }}{{ .image }}@{{ $digest }}
{{- else -}}
{{ $images.prefix }}{{ .image }}:{{ $images.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "kelp.pullSecrets" -}}
{{- with .Values.images.pullSecrets -}}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "kelp.modelsNamespace" -}}
{{ .Values.modelsNamespace.name | default .Release.Namespace }}
{{- end }}

{{/* The namespaces that the platform lives in, each once. */}}
{{- define "kelp.namespaces" -}}
{{ list .Release.Namespace (include "kelp.modelsNamespace" .) | uniq | toJson }}
{{- end }}

{{- define "kelp.publicUrl" -}}
{{- $route := .Values.bridge.route -}}
{{- if .Values.bridge.publicUrl -}}
{{ .Values.bridge.publicUrl }}
{{- else if and (ne $route.kind "none") $route.host -}}
{{ ternary "https" "http" (ne $route.tlsSecret "") }}://{{ $route.host }}
{{- else -}}
{{- /* CVAT takes no host whose last part has a digit in it. */ -}}
{{- $name := ternary (printf "%s.svc.cluster.local" .Release.Namespace) .Release.Namespace (regexMatch "[0-9]" .Release.Namespace) -}}
http://bridge.{{ $name }}:{{ .Values.bridge.service.port }}
{{- end -}}
{{- end }}

{{- define "kelp.storageUri" -}}
{{- if .Values.storage.uri -}}
{{ trimSuffix "/" .Values.storage.uri }}
{{- else if .Values.storage.pvc.create -}}
pvc://{{ .Values.storage.pvc.name }}
{{- end -}}
{{- end }}

{{/* Service account of the models' pods: it carries the Secret that opens the storage. */}}
{{- define "kelp.modelsServiceAccount" -}}
{{- if .Values.storage.existingSecret -}}kelp-models{{- end -}}
{{- end }}

{{/* Restricted, and a read-only root besides. */}}
{{- define "kelp.podSecurity" -}}
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
runAsGroup: 65532
runAsNonRoot: true
runAsUser: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "kelp.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
privileged: false
readOnlyRootFilesystem: true
runAsGroup: 65532
runAsNonRoot: true
runAsUser: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* Environment variables of tracing, as OpenTelemetry names them. */}}
{{- define "kelp.tracingEnv" -}}
{{- with .Values.tracing.endpoint -}}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- end }}
