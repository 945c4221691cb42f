{{/* The Secrets that the bridge mounts below /etc/kelp: a list of name and secret. */}}
{{- define "kelp.bridgeSecrets" -}}
{{- $bridge := .Values.bridge -}}
{{- range $name, $secret := dict "cvat" $bridge.cvat.existingSecret "cvat-ca" $bridge.cvat.caSecret "webhook" $bridge.webhook.existingSecret "api" $bridge.api.existingSecret "database" $bridge.database.existingSecret }}
{{- if $secret }}
- name: {{ $name }}
  secret: {{ $secret }}
{{- end }}
{{- end }}
{{- end }}

{{- define "kelp.bridgeEnv" -}}
{{- $bridge := .Values.bridge -}}
# DBOS's executor: a pod that comes back under its name goes on with its own runs.
- name: DBOS__VMID
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: KELP_HOST
  value: 0.0.0.0
- name: KELP_PORT
  value: "8000"
- name: KELP_METRICS_PORT
  value: "8001"
- name: KELP_LOG_LEVEL
  value: {{ $bridge.logLevel }}
- name: KELP_V2_URL
  value: kubernetes
- name: KELP_NAMESPACES
  value: {{ include "kelp.modelsNamespace" . }}
- name: KELP_PUBLIC_URL
  value: {{ include "kelp.publicUrl" . }}
{{- with $bridge.cvat.url }}
- name: KELP_CVAT_URL
  value: {{ . | quote }}
{{- end }}
{{- with $bridge.cvat.org }}
- name: KELP_CVAT_ORG
  value: {{ . | quote }}
{{- end }}
{{- if $bridge.cvat.existingSecret }}
{{- if eq $bridge.cvat.auth "token" }}
- name: KELP_CVAT_TOKEN_FILE
  value: /etc/kelp/cvat/token
{{- else }}
- name: KELP_CVAT_USER_FILE
  value: /etc/kelp/cvat/user
- name: KELP_CVAT_PASSWORD_FILE
  value: /etc/kelp/cvat/password
{{- end }}
{{- end }}
{{- if $bridge.cvat.caSecret }}
- name: KELP_CVAT_CA
  value: /etc/kelp/cvat-ca/ca.crt
{{- end }}
{{- if $bridge.webhook.existingSecret }}
- name: KELP_WEBHOOK_SECRETS_FILE
  value: /etc/kelp/webhook/secrets
{{- end }}
{{- if $bridge.api.existingSecret }}
- name: KELP_API_TOKEN_FILE
  value: /etc/kelp/api/token
{{- end }}
{{- if $bridge.database.existingSecret }}
- name: KELP_DATABASE_URL_FILE
  value: /etc/kelp/database/url
{{- else }}
- name: KELP_DATABASE_URL
  value: sqlite:////var/lib/kelp/bridge.db
{{- end }}
{{- with include "kelp.tracingEnv" . }}
{{ . }}
{{- end }}
{{- with $bridge.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}
