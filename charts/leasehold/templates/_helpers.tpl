{{- define "leasehold.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | replace "." "-" | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | replace "." "-" | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What tells the pods of a component from all others: (list . "operator") */}}
{{- define "leasehold.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: leasehold
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "leasehold.labels" -}}
{{- $root := index . 0 -}}
{{ include "leasehold.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- end -}}

{{/* An image's whole name: (list . .Values.image) */}}
{{- define "leasehold.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- with $root.Values.imageRegistry }}{{ trimSuffix "/" . }}/{{ end -}}
{{ $image.repository }}:{{ $image.tag | default $root.Chart.AppVersion }}
{{- end -}}

{{/* The security of every pod of the chart, and of every container in them. */}}
{{- define "leasehold.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}
{{- define "leasehold.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Where pods of a component go: (list . "operator" .Values.operator) */}}
{{- define "leasehold.placement" -}}
{{- $part := index . 2 -}}
topologySpreadConstraints:
  - topologyKey: kubernetes.io/hostname
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "leasehold.selector" . | nindent 8 }}
{{- with $part.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "leasehold.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* --- etcd --- */}}

{{- define "leasehold.etcdHost" -}}
{{- $root := index . 0 -}}
{{- $name := printf "%s-etcd" (include "leasehold.fullname" $root) -}}
{{ $name }}-{{ index . 1 }}.{{ $name }}.{{ $root.Release.Namespace }}.svc
{{- end -}}

{{/* The volume of a member's data, which differs by how many members there are. */}}
{{- define "leasehold.etcdData" -}}
data{{ if ne (int .Values.etcd.replicas) 1 }}-of-{{ .Values.etcd.replicas }}{{ end }}
{{- end -}}

{{/* The bytes of a quantity such as 1Gi. */}}
{{- define "leasehold.bytes" -}}
{{- $units := dict "M" 1000000 "G" 1000000000 "T" 1000000000000 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- mul (regexFind "^[0-9]+" .) (get $units (regexFind "[A-Za-z]+$" .)) -}}
{{- end -}}

{{- define "leasehold.etcdUrls" -}}
{{- if .Values.etcd.enabled -}}
{{- $urls := list -}}
{{- range $i := until (int .Values.etcd.replicas) -}}
{{- $urls = append $urls (printf "https://%s:2379" (include "leasehold.etcdHost" (list $ $i))) -}}
{{- end -}}
{{- join "," $urls -}}
{{- else -}}
{{- join "," .Values.etcd.endpoints -}}
{{- end -}}
{{- end -}}

{{/* An instant, in words that are ordered as instants are. */}}
{{- define "leasehold.date" -}}
{{ dateInZone "2006-01-02T15:04:05Z" . "UTC" }}
{{- end -}}

{{/* Whether a certificate stays: (list authority's-secret its-own-secret). Both are there, and its time has not come. */}}
{{- define "leasehold.certificateKept" -}}
{{- $authority := index . 0 -}}
{{- $own := index . 1 -}}
{{- $from := dig "metadata" "annotations" "leasehold.dev/renewed-from" "" $own -}}
{{- if and $authority $own (or (not $from) (lt (include "leasehold.date" now) $from)) -}}true{{- end -}}
{{- end -}}

{{/* The Secret with which clients in the chart's own namespace reach etcd; empty without TLS. */}}
{{- define "leasehold.etcdSecret" -}}
{{- if .Values.etcd.enabled -}}leasehold-etcd-client{{- else -}}{{ .Values.etcd.tls.secretName }}{{- end -}}
{{- end -}}

{{/* Whether etcd is shown a client's certificate: unless told that it wants none, if the Secret holds one. Rendered without a cluster, a Secret of others' is believed to. */}}
{{- define "leasehold.etcdMutual" -}}
{{- $found := lookup "v1" "Secret" .Release.Namespace (include "leasehold.etcdSecret" . | default "none") -}}
{{- if .Values.etcd.tls.serverTlsOnly -}}{{- else if or .Values.etcd.enabled (not $found) (hasKey ($found.data | default dict) "tls.crt") -}}true{{- end -}}
{{- end -}}

{{/* The settings of etcd for a container of the chart's, and below its volumes and their mounts. */}}
{{- define "leasehold.etcdEnv" -}}
- name: LEASEHOLD_ETCD  # comma-separated addresses of etcd, those that the sidecars use
  value: {{ include "leasehold.etcdUrls" . | quote }}
{{- if ne .Values.etcd.root "/leasehold" }}
- name: LEASEHOLD_ROOT
  value: {{ .Values.etcd.root | quote }}
{{- end }}
{{- if include "leasehold.etcdSecret" . }}
- name: LEASEHOLD_ETCD_CA
  value: /etcd-tls/ca.crt
{{- if include "leasehold.etcdMutual" . }}
- name: LEASEHOLD_ETCD_CERT
  value: /etcd-tls/tls.crt
- name: LEASEHOLD_ETCD_KEY
  value: /etcd-tls/tls.key
{{- end }}
{{- end }}
{{- if .Values.etcd.auth.user }}
- name: LEASEHOLD_ETCD_USER
  value: {{ .Values.etcd.auth.user | quote }}
- name: LEASEHOLD_ETCD_PASSWORD_FILE
  value: /etcd-auth/password
{{- end }}
{{- end -}}

{{- define "leasehold.etcdMounts" -}}
{{- if include "leasehold.etcdSecret" . }}
- {name: etcd-tls, mountPath: /etcd-tls, readOnly: true}
{{- end }}
{{- if .Values.etcd.auth.user }}
- {name: etcd-auth, mountPath: /etcd-auth, readOnly: true}
{{- end }}
{{- end -}}

{{- define "leasehold.etcdVolumes" -}}
{{- if include "leasehold.etcdSecret" . }}
- name: etcd-tls
  secret: {secretName: {{ include "leasehold.etcdSecret" . }}, defaultMode: 0444}
{{- end }}
{{- if .Values.etcd.auth.user }}
- name: etcd-auth
  secret: {secretName: {{ .Values.etcd.auth.secretName }}, defaultMode: 0444}
{{- end }}
{{- end -}}

{{- define "leasehold.podEnv" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: POD_UID
  valueFrom: {fieldRef: {fieldPath: metadata.uid}}
- name: NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
{{- end -}}
