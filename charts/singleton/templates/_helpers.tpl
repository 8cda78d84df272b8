{{- define "singleton.selector" -}}
app.kubernetes.io/name: singleton
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- /* All that the sidecar's templates need to know. */ -}}
{{- define "singleton.sidecar" -}}
{{- $health := printf "http://127.0.0.1:%d%s" (int .Values.app.port) .Values.app.healthPath -}}
{{- $filled := dict "lock" .Release.Name "workload" .Values.kind "appHealth" $health -}}
{{- $grace := dict "terminationGracePeriodSeconds" .Values.app.terminationGracePeriodSeconds -}}
{{- merge $filled $grace .Values.leasehold | toYaml -}}
{{- end -}}
