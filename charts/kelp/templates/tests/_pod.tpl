{{/* A pod of `helm test`: (dict "root" $ "name" "ping" "env" (list) "secret" "…") */}}
{{- define "kelp.testPod" }}
{{- $root := .root }}
---
apiVersion: v1
kind: Pod
metadata:
  name: kelp-test-{{ .name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "kelp.labels" (dict "root" $root "component" "test") | nindent 4 }}
  annotations:
    helm.sh/hook: test
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
    sidecar.istio.io/inject: {{ $root.Values.network.istio.mesh | toString | quote }}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  enableServiceLinks: false
  activeDeadlineSeconds: {{ add $root.Values.test.timeoutSeconds 60 }}
  {{- with include "kelp.pullSecrets" $root }}{{ . | nindent 2 }}{{ end }}
  securityContext:
    {{- include "kelp.podSecurity" $root | nindent 4 }}
  containers:
    - name: test
      image: {{ include "kelp.image" (dict "root" $root "image" "kelp-bridge") }}
      imagePullPolicy: {{ $root.Values.images.pullPolicy }}
      command: [python, /tests/{{ .name }}.py]
      env:
        {{- toYaml .env | nindent 8 }}
      resources:
        requests: {cpu: 50m, memory: 64Mi}
        limits: {cpu: "1", memory: 512Mi}
      securityContext:
        {{- include "kelp.containerSecurity" $root | nindent 8 }}
      volumeMounts:
        - name: tmp
          mountPath: /tmp
        - name: tests
          mountPath: /tests
          readOnly: true
        {{- if .secret }}
        - name: webhook
          mountPath: /etc/kelp/webhook
          readOnly: true
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {}
    - name: tests
      configMap:
        name: kelp-test
    {{- with .secret }}
    - name: webhook
      secret:
        secretName: {{ . }}
        defaultMode: 0440
    {{- end }}
{{- end }}
