{{/* A hook that runs the command line: (dict "root" $ "name" … "hook" … "arguments" (list …)) */}}
{{- define "kelp.deployerJob" }}
{{- $root := .root }}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "kelp.labels" (dict "root" $root "component" "deployer") | nindent 4 }}
  annotations:
    helm.sh/hook: {{ .hook }}
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  backoffLimit: 2
  activeDeadlineSeconds: {{ $root.Values.deployer.timeoutSeconds }}
  template:
    metadata:
      labels:
        {{- include "kelp.labels" (dict "root" $root "component" "deployer") | nindent 8 }}
      annotations:
        # A sidecar that never ends would keep the Job from ending.
        sidecar.istio.io/inject: "false"
    spec:
      restartPolicy: Never
      serviceAccountName: kelp-deployer
      automountServiceAccountToken: true
      enableServiceLinks: false
      {{- with include "kelp.pullSecrets" $root }}{{ . | nindent 6 }}{{ end }}
      securityContext:
        {{- include "kelp.podSecurity" $root | nindent 8 }}
      containers:
        - name: kelp
          image: {{ include "kelp.image" (dict "root" $root "image" "kelp-bridge") }}
          imagePullPolicy: {{ $root.Values.images.pullPolicy }}
          command: [kelp]
          args:
            {{- toYaml .arguments | nindent 12 }}
            - --platform
            - kube
            - --namespace
            - {{ include "kelp.modelsNamespace" $root }}
            - --owner
            - {{ $root.Release.Name }}
          resources:
            {{- toYaml $root.Values.deployer.resources | nindent 12 }}
          securityContext:
            {{- include "kelp.containerSecurity" $root | nindent 12 }}
          volumeMounts:
            - name: tmp
              mountPath: /tmp
            - name: cards
              mountPath: /cards
              readOnly: true
      volumes:
        - name: tmp
          emptyDir: {}
        - name: cards
          configMap:
            name: kelp-cards
{{- end }}
