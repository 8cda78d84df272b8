{{- /*
For the pods of your own chart. Each takes one dict, such as .Values.leasehold of the chart singleton:

  initContainers:
    - {{- include "leasehold-sidecar.container" .Values.leasehold | nindent 6 }}
  volumes:
    {{- include "leasehold-sidecar.volumes" .Values.leasehold | nindent 4 }}

The sidecar comes first among the init containers, so that those after it can ask it.

  lock         the Lock's name, in the pod's namespace                             (required)
  workload     Deployment, StatefulSet, DaemonSet: tells the pod's revision; Job   (required)
  appHealth    URL of the app's health check, asked by the sidecar    (required but for a Job)
  gate         readiness: the pod is Ready while it leads; label: while it may;
               startup, for Jobs: the app starts once the pod leads, no appHealth  (required)
  image        repository, tag, digest, pullPolicy; registry in front of it if wanted  (required)
  etcd         endpoints (required), secretName, serverTlsOnly, root, user, passwordSecretName
  requireLock  false: an undeclared lock is joined, too                            (default true)
  ttl          seconds; the Lock's unless given
  terminationGracePeriodSeconds  as the pod has it                                 (default 30)
  initWork     true: init containers after it work under the lock; no appHealth    (default false)
  port, controlPort                                                                (default 4040, 4041)
  resources    as of any container
  anyUser      true: the platform chooses the user, as OpenShift does              (default false: 65532)
*/ -}}

{{- define "leasehold-sidecar.check" -}}
{{- $required := list "lock" "workload" "gate" "image" "etcd" -}}
{{- if ne .workload "Job" -}}
{{- $required = append $required "appHealth" -}}
{{- end -}}
{{- $right := dict
  "lock" "name the Lock to queue for, of the pod's namespace"
  "workload" "use Deployment, StatefulSet, DaemonSet or Job"
  "appHealth" "name the URL of the app's health check, such as http://127.0.0.1:8080/healthz"
  "gate" "use readiness, label or startup"
  "image" "give its repository and tag"
  "etcd" "give its endpoints"
-}}
{{- range $name := $required -}}
{{- if not (get $ $name) -}}
{{- fail (printf "leasehold-sidecar: %s is missing: %s" $name (get $right $name)) -}}
{{- end -}}
{{- end -}}
{{- if not (has .workload (list "Deployment" "StatefulSet" "DaemonSet" "Job")) -}}
{{- fail (printf "leasehold-sidecar: workload is %s: use Deployment, StatefulSet, DaemonSet or Job" .workload) -}}
{{- end -}}
{{- if not (has .gate (list "readiness" "label" "startup")) -}}
{{- fail (printf "leasehold-sidecar: gate is %s: use readiness, label or startup" .gate) -}}
{{- end -}}
{{- if and (eq .gate "startup") (or .appHealth (ne .workload "Job")) -}}
{{- fail "leasehold-sidecar: gate is startup, which is for Jobs without appHealth: an app cannot be healthy before it starts" -}}
{{- end -}}
{{- if not .etcd.endpoints -}}
{{- fail "leasehold-sidecar: etcd.endpoints is empty: name the members of etcd that the operator uses" -}}
{{- end -}}
{{- if ne (empty .etcd.user) (empty .etcd.passwordSecretName) -}}
{{- fail "leasehold-sidecar: etcd.user and etcd.passwordSecretName need each other: give both" -}}
{{- end -}}
{{- if and .appHealth (not (regexMatch "^https?://" .appHealth)) -}}
{{- fail (printf "leasehold-sidecar: appHealth is %s: use a URL such as http://127.0.0.1:8080/healthz" .appHealth) -}}
{{- end -}}
{{- end -}}

{{- define "leasehold-sidecar.container" -}}
{{- include "leasehold-sidecar.check" . -}}
{{- $port := .port | default 4040 | int -}}
{{- $control := .controlPort | default 4041 | int -}}
{{- $grace := kindIs "invalid" .terminationGracePeriodSeconds | ternary 30 .terminationGracePeriodSeconds -}}
name: leasehold
image: "{{ with .image.registry }}{{ trimSuffix "/" . }}/{{ end }}{{ .image.repository }}:{{ .image.tag }}{{ with .image.digest }}@{{ . }}{{ end }}"
imagePullPolicy: {{ .image.pullPolicy | default "IfNotPresent" }}
restartPolicy: Always  # a native sidecar: started before the app, stopped after it
args:
  - run
  - --native-sidecar
  - {{ printf "--lock=%s" .lock | quote }}
  {{- if ne (toString .requireLock) "false" }}
  - --require-lock
  {{- end }}
  {{- with .ttl }}
  - --ttl={{ . }}
  {{- end }}
  {{- if and .etcd.root (ne .etcd.root "/leasehold") }}
  - {{ printf "--root=%s" .etcd.root | quote }}
  {{- end }}
  - --state-dir=/state
  {{- if .appHealth }}
  - {{ printf "--app-health=%s" (.appHealth | replace "$" "$$") | quote }}
  {{- end }}
  {{- if eq .gate "label" }}
  - --pod-labels=/pod/labels
  {{- end }}
  - --termination-grace={{ $grace | int64 | max 0 | min 604800 }}
  {{- if and .initWork (not .appHealth) }}
  - --init-work
  {{- end }}
  - --listen=:{{ $port }}
  - --control=127.0.0.1:{{ $control }}
env:
  {{- include "leasehold-sidecar.env" . | nindent 2 }}
ports:
  - name: leasehold
    containerPort: {{ $port }}
readinessProbe:
  {{- include "leasehold-sidecar.readinessProbe" . | nindent 2 }}
startupProbe:  # a start takes a third of a second of CPU time: half a minute under a limit of 10m
  httpGet:
    path: {{ if eq .gate "startup" }}/leader{{ else }}/livez{{ end }}
    port: {{ $port }}
  periodSeconds: 1
  timeoutSeconds: 5
  failureThreshold: {{ if eq .gate "startup" }}2147483647{{ else }}180{{ end }}
livenessProbe:
  httpGet:
    path: /livez
    port: {{ $port }}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
lifecycle:
  preStop:
    exec:
      command: [touch, /state/ending]  # cheap, since it runs within the sidecar's limit of CPU
resources:
  {{- .resources | default (dict "requests" (dict "cpu" "20m" "memory" "48Mi") "limits" (dict "memory" "96Mi")) | toYaml | nindent 2 }}
securityContext:
  runAsNonRoot: true
  {{- if not .anyUser }}
  runAsUser: 65532
  runAsGroup: 65532
  {{- end }}
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop:
      - ALL
  seccompProfile:
    type: RuntimeDefault
volumeMounts:
  - name: leasehold-state
    mountPath: /state
  {{- if .etcd.secretName }}
  - name: leasehold-etcd
    mountPath: /etcd-tls
    readOnly: true
  {{- end }}
  {{- if .etcd.passwordSecretName }}
  - name: leasehold-etcd-auth
    mountPath: /etcd-auth
    readOnly: true
  {{- end }}
  {{- if eq .gate "label" }}
  - name: leasehold-pod
    mountPath: /pod
    readOnly: true
  {{- end }}
{{- end -}}

{{- /* The revision that the pod belongs to, by the label that its workload's controller gives it. */ -}}
{{- define "leasehold-sidecar.revisionLabel" -}}
{{- if eq .workload "Deployment" -}}pod-template-hash{{- else -}}controller-revision-hash{{- end -}}
{{- end -}}

{{- define "leasehold-sidecar.env" -}}
- name: LEASEHOLD_ETCD
  value: {{ join "," .etcd.endpoints | quote }}
{{- if .etcd.secretName }}
- name: LEASEHOLD_ETCD_CA
  value: /etcd-tls/ca.crt
{{- if not .etcd.serverTlsOnly }}
- name: LEASEHOLD_ETCD_CERT
  value: /etcd-tls/tls.crt
- name: LEASEHOLD_ETCD_KEY
  value: /etcd-tls/tls.key
{{- end }}
{{- end }}
{{- if .etcd.user }}
- name: LEASEHOLD_ETCD_USER
  value: {{ .etcd.user | quote }}
- name: LEASEHOLD_ETCD_PASSWORD_FILE
  value: /etcd-auth/password
{{- end }}
{{- if ne .workload "Job" }}
- name: LEASEHOLD_GROUP
  valueFrom:
    fieldRef:
      fieldPath: metadata.labels['{{ include "leasehold-sidecar.revisionLabel" . }}']
{{- end }}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: POD_UID
  valueFrom:
    fieldRef:
      fieldPath: metadata.uid
- name: NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
{{- end -}}

{{- define "leasehold-sidecar.readinessProbe" -}}
httpGet:
  path: {{ if eq .gate "label" }}/readyz{{ else }}/leader{{ end }}
  port: {{ .port | default 4040 | int }}
periodSeconds: 1
timeoutSeconds: 3  # a leader that is short of CPU answers late, and nobody else may lead meanwhile
failureThreshold: 1
{{- end -}}

{{- define "leasehold-sidecar.volumes" -}}
- name: leasehold-state
  emptyDir: {}
{{- if .etcd.secretName }}
- name: leasehold-etcd
  secret:
    secretName: {{ .etcd.secretName | quote }}
    defaultMode: 0444
{{- end }}
{{- if .etcd.passwordSecretName }}
- name: leasehold-etcd-auth
  secret:
    secretName: {{ .etcd.passwordSecretName | quote }}
    defaultMode: 0444
{{- end }}
{{- if eq .gate "label" }}
- name: leasehold-pod
  downwardAPI:
    items:
      - path: labels
        fieldRef:
          fieldPath: metadata.labels
{{- end }}
{{- end -}}
