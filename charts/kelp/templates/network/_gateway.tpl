{{/* Servers of an Istio gateway: (dict "host" … "tlsSecret" …); with a certificate, plain HTTP is sent to it. */}}
{{- define "kelp.gatewayServers" -}}
{{- if .tlsSecret }}
- hosts: [{{ .host }}]
  port: {name: https, number: 443, protocol: HTTPS}
  tls:
    mode: SIMPLE
    credentialName: {{ .tlsSecret }}
    minProtocolVersion: TLSV1_2
- hosts: [{{ .host }}]
  port: {name: http, number: 80, protocol: HTTP}
  tls: {httpsRedirect: true}
{{- else }}
- hosts: [{{ .host }}]
  port: {name: http, number: 80, protocol: HTTP}
{{- end }}
{{- end }}
