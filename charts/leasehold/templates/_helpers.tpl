{{- define "leasehold.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- .Values.fullnameOverride | default $full | replace "." "-" | trunc 40 | trimSuffix "-" -}}
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
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The service account of a component: (list . "operator") */}}
{{- define "leasehold.serviceAccount" -}}
{{- $root := index . 0 -}}
{{- $account := dig (index . 1) "serviceAccount" dict ($root.Values | toJson | fromJson) -}}
{{- $account.name | default (printf "%s-%s" (include "leasehold.fullname" $root) (index . 1)) -}}
{{- end -}}

{{/* An image's whole name: (list . .Values.image). A registry that is set for all replaces the image's own. */}}
{{- define "leasehold.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $registry := $root.Values.imageRegistry | default ($root.Values.global).imageRegistry | default $image.registry -}}
{{- $hasHost := regexMatch "^([^/]*[.:][^/]*|localhost)/" $image.repository -}}
{{- if and $registry (not $hasHost) }}{{ trimSuffix "/" $registry }}/{{ end -}}
{{ $image.repository }}:{{ $image.tag | default $root.Chart.AppVersion }}
{{- with $image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* Whether the platform chooses users and groups of its own, as OpenShift does. */}}
{{- define "leasehold.anyUser" -}}
{{- if kindIs "bool" .Values.openshift -}}{{ if .Values.openshift }}true{{ end }}
{{- else if .Capabilities.APIVersions.Has "security.openshift.io/v1" -}}true{{- end -}}
{{- end -}}

{{/* The security of every pod of the chart, and of every container in them. */}}
{{- define "leasehold.podSecurity" -}}
runAsNonRoot: true
{{- if not (include "leasehold.anyUser" .) }}
runAsUser: 65532
runAsGroup: 65532
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end -}}
{{- define "leasehold.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Where pods of a component go, and on which network: (list . "operator" .Values.operator) */}}
{{- define "leasehold.placement" -}}
{{- $part := index . 2 -}}
topologySpreadConstraints:
{{- if $part.topologySpreadConstraints }}
  {{- toYaml $part.topologySpreadConstraints | nindent 2 }}
{{- else }}
  - topologyKey: kubernetes.io/hostname
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "leasehold.selector" . | nindent 8 }}
{{- end }}
{{- range $field := list "nodeSelector" "tolerations" "affinity" "dnsConfig" }}
{{- with index $part $field }}
{{ $field }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- range $field := list "priorityClassName" "runtimeClassName" }}
{{- with index $part $field }}
{{ $field }}: {{ . | quote }}
{{- end }}
{{- end }}
{{- with $part.dnsPolicy | default (ternary "ClusterFirstWithHostNet" "" ($part.hostNetwork | default false)) }}
dnsPolicy: {{ . }}
{{- end }}
{{- if $part.hostNetwork }}
hostNetwork: true
{{- end }}
{{- end -}}

{{/* Of a component's container and pod, what its values add: .Values.operator */}}
{{- define "leasehold.extraArgs" -}}
{{- range .extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end -}}
{{- define "leasehold.extraEnv" -}}
{{- with .extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Names of Secrets, as JSON, of a list that has names or objects with a name. */}}
{{- define "leasehold.secretNames" -}}
{{- $names := list -}}
{{- range . }}
{{- if kindIs "map" . }}{{ $names = append $names .name }}{{ else }}{{ $names = append $names . }}{{ end -}}
{{- end -}}
{{- $names | uniq | toJson -}}
{{- end -}}

{{/* Those by which the chart's pods pull their images, and where nothing else is said injected pods, too. */}}
{{- define "leasehold.pullSecretNames" -}}
{{- include "leasehold.secretNames" (concat (.Values.imagePullSecrets | default list) (($.Values.global).imagePullSecrets | default list)) -}}
{{- end -}}

{{- define "leasehold.sidecarPullSecrets" -}}
{{- if kindIs "slice" .Values.sidecar.imagePullSecrets -}}
{{- include "leasehold.secretNames" .Values.sidecar.imagePullSecrets -}}
{{- else -}}
{{- include "leasehold.pullSecretNames" . -}}
{{- end -}}
{{- end -}}

{{- define "leasehold.pullSecrets" -}}
{{- with include "leasehold.pullSecretNames" . | fromJsonArray }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* --- etcd --- */}}

{{/* Whether etcd is one of this chart's: unless told otherwise, where no other is named. */}}
{{- define "leasehold.ownEtcd" -}}
{{- if kindIs "bool" .Values.etcd.enabled -}}
{{- if .Values.etcd.enabled }}true{{ end -}}
{{- else if not .Values.etcd.endpoints -}}true{{- end -}}
{{- end -}}

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
{{- if include "leasehold.ownEtcd" . -}}
{{- $urls := list -}}
{{- range $i := until (int .Values.etcd.replicas) -}}
{{- $urls = append $urls (printf "https://%s:2379" (include "leasehold.etcdHost" (list $ $i))) -}}
{{- end -}}
{{- join "," $urls -}}
{{- else -}}
{{- join "," .Values.etcd.endpoints -}}
{{- end -}}
{{- end -}}

{{/* What a release that made certificates while it was rendered has in this Secret, so that it stays: (list namespace name) */}}
{{- define "leasehold.secretOfEarlierRelease" -}}
{{- $found := lookup "v1" "Secret" (index . 0) (index . 1) -}}
{{- if and $found (eq $found.type "kubernetes.io/tls") $found.data -}}
{{- with dig "metadata" "annotations" "leasehold.dev/renewed-from" "" $found }}
  annotations:
    leasehold.dev/renewed-from: {{ . | quote }}
{{- end }}
type: kubernetes.io/tls
data:
  {{- toYaml $found.data | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* Whether the operator gives each namespace an etcd user of its own. */}}
{{- define "leasehold.enrols" -}}
{{- if or (and (include "leasehold.ownEtcd" .) (eq .Values.certificates.source "chart")) .Values.etcd.enrolment.caSecretName .Values.etcd.enrolment.passwords -}}true{{- end -}}
{{- end -}}

{{/* The Secret that the operator uses to reach etcd; empty without TLS. */}}
{{- define "leasehold.operatorSecret" -}}
{{- if and (include "leasehold.ownEtcd" .) (include "leasehold.enrols" .) -}}
{{ include "leasehold.fullname" . }}-etcd-operator
{{- else if include "leasehold.ownEtcd" . -}}leasehold-etcd-client{{- else -}}{{ .Values.etcd.tls.secretName }}{{- end -}}
{{- end -}}

{{/* The etcd user whose password sidecars log in with: of each namespace its own, if that has one. */}}
{{- define "leasehold.sidecarUser" -}}
{{- if .Values.etcd.enrolment.passwords -}}@/etcd-auth/username{{- else if not (include "leasehold.enrols" .) -}}{{ .Values.etcd.auth.user }}{{- end -}}
{{- end -}}

{{/* The Secret with that password, in the sidecars' own namespace; empty without such a user. */}}
{{- define "leasehold.passwordSecret" -}}
{{- if .Values.etcd.enrolment.passwords -}}leasehold-etcd-client{{- else if not (include "leasehold.enrols" .) -}}{{ .Values.etcd.auth.secretName }}{{- end -}}
{{- end -}}

{{/* The Secret that sidecars use to reach etcd, in their own namespace; empty without TLS. */}}
{{- define "leasehold.etcdSecret" -}}
{{- if and .Values.etcd.enrolment.passwords (not .Values.etcd.tls.secretName) -}}{{- else if or (include "leasehold.ownEtcd" .) (include "leasehold.enrols" .) -}}leasehold-etcd-client{{- else -}}{{ .Values.etcd.tls.secretName }}{{- end -}}
{{- end -}}

{{/* Whether etcd is shown a client's certificate: unless told that it wants none, if the Secret holds one. Rendered without a cluster, a Secret of others' is believed to. */}}
{{- define "leasehold.etcdMutual" -}}
{{- $found := lookup "v1" "Secret" .Release.Namespace (include "leasehold.operatorSecret" . | default "none") -}}
{{- if .Values.etcd.tls.serverTlsOnly -}}{{- else if or (include "leasehold.ownEtcd" .) (not $found) (hasKey ($found.data | default dict) "tls.crt") -}}true{{- end -}}
{{- end -}}

{{/* Whether sidecars show no certificate, but only ask etcd for its own. */}}
{{- define "leasehold.serverTlsOnly" -}}
{{- if or .Values.etcd.enrolment.passwords (not (or (include "leasehold.enrols" .) (include "leasehold.etcdMutual" .))) -}}true{{- end -}}
{{- end -}}

{{/* Of a Secret that is filled after the pod was made: by naming its keys, the pod waits for them. */}}
{{- define "leasehold.wholeCertificate" -}}
items: [{key: ca.crt, path: ca.crt}, {key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]
{{- end -}}

{{/* The settings of etcd for a container of the chart's, and below its volumes and their mounts: (list . secret user) */}}
{{- define "leasehold.etcdEnv" -}}
{{- $root := index . 0 -}}
- name: LEASEHOLD_ETCD  # comma-separated addresses of etcd, those that the sidecars use
  value: {{ include "leasehold.etcdUrls" $root | quote }}
{{- if ne $root.Values.etcd.root "/leasehold" }}
- name: LEASEHOLD_ROOT
  value: {{ $root.Values.etcd.root | quote }}
{{- end }}
{{- if index . 1 }}
- name: LEASEHOLD_ETCD_CA
  value: /etcd-tls/ca.crt
{{- $theirs := eq (index . 1) "leasehold-etcd-client" }}
{{- if ternary (not $root.Values.etcd.enrolment.passwords) (not (empty (include "leasehold.etcdMutual" $root))) $theirs }}
- name: LEASEHOLD_ETCD_CERT
  value: /etcd-tls/tls.crt
- name: LEASEHOLD_ETCD_KEY
  value: /etcd-tls/tls.key
{{- end }}
{{- end }}
{{- if index . 2 }}
- name: LEASEHOLD_ETCD_USER
  value: {{ index . 2 | quote }}
- name: LEASEHOLD_ETCD_PASSWORD_FILE
  value: /etcd-auth/password
{{- end }}
{{- end -}}

{{- define "leasehold.etcdMounts" -}}
{{- if index . 1 }}
- {name: etcd-tls, mountPath: /etcd-tls, readOnly: true}
{{- end }}
{{- if index . 2 }}
- {name: etcd-auth, mountPath: /etcd-auth, readOnly: true}
{{- end }}
{{- end -}}

{{- define "leasehold.etcdVolumes" -}}
{{- if index . 1 }}
- name: etcd-tls
  secret:
    secretName: {{ index . 1 }}
    defaultMode: 0444
    {{- if include "leasehold.ownEtcd" (index . 0) }}
    {{- include "leasehold.wholeCertificate" (index . 0) | nindent 4 }}
    {{- end }}
{{- end }}
{{- if index . 2 }}
- name: etcd-auth
  secret: {secretName: {{ ternary "leasehold-etcd-client" (index . 0).Values.etcd.auth.secretName (hasPrefix "@" (index . 2)) }}, defaultMode: 0444}
{{- end }}
{{- end -}}

{{/* The addresses of every Service. */}}
{{- define "leasehold.ipFamilies" -}}
{{- with .Values.ipFamilyPolicy }}
ipFamilyPolicy: {{ . }}
{{- end }}
{{- with .Values.ipFamilies }}
ipFamilies: {{ toJson . }}
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
