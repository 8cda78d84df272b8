{{/* What the operator needs to give each namespace an etcd user of its own: flags, mounts, volumes. */}}

{{- define "leasehold.enrolmentFlags" -}}
{{- if include "leasehold.enrols" . }}
{{- if .Values.etcd.enrolment.passwords }}
- --enrol-passwords
{{- else }}
- --enrol-ca-cert=/enrol-ca/tls.crt
- --enrol-ca-key=/enrol-ca/tls.key
{{- end }}
- --enrol-days={{ .Values.etcd.enrolment.days }}
{{- if .Values.etcd.enrolment.adminUser }}
- {{ printf "--enrol-user=%s" .Values.etcd.enrolment.adminUser | quote }}
- --enrol-password-file=/enrol-admin/password
{{- else }}
- --enrol-cert=/enrol-admin/tls.crt
- --enrol-key=/enrol-admin/tls.key
{{- end }}
{{- if include "leasehold.ownEtcd" . }}
- --enrol-own-etcd
- --enrol-administrators={{ include "leasehold.fullname" . }}-etcd  # the members', for etcdctl in their pods
- --enrol-shared-user=leasehold
{{- end }}
{{- end }}
{{- end -}}

{{- define "leasehold.enrolmentMounts" -}}
{{- if include "leasehold.enrols" . }}
{{- if not .Values.etcd.enrolment.passwords }}
- {name: enrol-ca, mountPath: /enrol-ca, readOnly: true}
{{- end }}
- {name: enrol-admin, mountPath: /enrol-admin, readOnly: true}
{{- end }}
{{- end -}}

{{- define "leasehold.enrolmentVolumes" -}}
{{- if include "leasehold.enrols" . }}
{{- $name := printf "%s-etcd" (include "leasehold.fullname" .) }}
{{- if not .Values.etcd.enrolment.passwords }}
- name: enrol-ca
  secret:
    secretName: {{ .Values.etcd.enrolment.caSecretName | default (include "leasehold.etcdAuthority" .) }}
    defaultMode: 0444
    items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]  # it is filled after the pod was made
{{- end }}
- name: enrol-admin
  secret:
    secretName: {{ .Values.etcd.enrolment.adminSecretName | default (printf "%s-admin" $name) }}
    defaultMode: 0444
    {{- if include "leasehold.ownEtcd" . }}
    {{- include "leasehold.wholeCertificate" . | nindent 4 }}
    {{- end }}
{{- end }}
{{- end -}}

{{/* The Secret of the authority of the chart's own etcd. */}}
{{- define "leasehold.etcdAuthority" -}}
{{ .Values.certificates.caSecretName | default (printf "%s-etcd-ca" (include "leasehold.fullname" .)) }}
{{- end -}}
