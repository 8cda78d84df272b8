{{- /*
The forms that texts among the values must have. The schema could say so, too, but only by showing its pattern; here
each wrong text is told with what would be right. An empty one is left to what needs it.
*/ -}}
{{- define "leasehold.forms" -}}
- values: [etcd.endpoints]
  form: '^https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_]([-A-Za-z0-9_]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([-A-Za-z0-9_]*[A-Za-z0-9_])?)*\.?)(:0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?$'
  right: a URL without a path is needed, such as https://etcd-0.example:2379, with a host and a port up to 65535
- values: [imageRegistry, global.imageRegistry, image.registry, sidecar.image.registry, etcd.image.registry]
  form: '^[A-Za-z0-9.-]+(:[0-9]+)?(/[a-z0-9._/-]*)?$'
  right: use a registry's name without https:// in front, such as registry.example or registry.example/team
- values: [image.repository, sidecar.image.repository, etcd.image.repository]
  form: '^([A-Za-z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*$'
  right: use a name such as team/leasehold; the tag has a value of its own, beside it, and https:// is not part of it
- values: [image.tag, sidecar.image.tag, etcd.image.tag]
  form: '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$'
  right: 'use a tag alone, such as 0.1.0; a digest has a value of its own, beside it'
- values: [image.digest, sidecar.image.digest, etcd.image.digest]
  form: '^sha256:[0-9a-f]{64}$'
  right: 'use sha256: and 64 hexadecimal digits'
- values: [etcd.persistence.size]
  form: '^[0-9]{1,6}(Mi|Gi|Ti|M|G|T)$'
  right: use a whole number with Mi, Gi, Ti, M, G or T, such as 1Gi
- values: [etcd.root]
  form: '^(/[A-Za-z0-9._~:@+=-]+)+$'
  right: it begins with a slash and does not end in one, such as /leasehold, and has letters, digits and -._~:@+= alone
- values: [etcd.auth.user, etcd.enrolment.adminUser]
  form: '^[^@\x00-\x1f\x7f][^\x00-\x1f\x7f]*$'
  right: a user's name is one line, which does not begin with @
- values: [serviceMonitor.interval, podMonitor.interval]
  form: '^[0-9]+(s|m)$'
  right: use seconds or minutes, such as 30s
- values: [prometheusRule.runbookUrl]
  form: '^[^\s#]*$'
  right: 'use a URL without spaces and without a #, to which each alert adds its name'
- values:
    - imagePullSecrets
    - global.imagePullSecrets
    - sidecar.imagePullSecrets
    - sidecar.namespaces
    - injector.tls.secretName
    - etcd.tls.secretName
    - etcd.auth.secretName
    - etcd.enrolment.caSecretName
    - etcd.enrolment.adminSecretName
    - certificates.caSecretName
    - operator.serviceAccount.name
    - injector.serviceAccount.name
    - nameOverride
    - fullnameOverride
  form: '^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$'
  right: Kubernetes has only names of lower case letters, digits, - and . in the middle
{{- end -}}

{{/* Fails unless the text at this path among the values has the form; says what would be right. */}}
{{- define "leasehold.mustFit" -}}
{{- if not (regexMatch .form .text) -}}
{{- fail (printf "%s is %s: %s" .path (trunc 120 .text | quote) .right) -}}
{{- end -}}
{{- end -}}

{{- define "leasehold.checkTexts" -}}
{{- range include "leasehold.forms" . | fromYamlArray -}}
{{- $one := . -}}
{{- range $path := .values -}}
{{- $found := $.Values | toJson | fromJson -}}
{{- range splitList "." $path -}}
{{- $found = get ($found | default dict) . -}}
{{- end -}}
{{- range kindIs "slice" $found | ternary $found (list $found) -}}
{{- $text := kindIs "map" . | ternary (get (kindIs "map" . | ternary . dict) "name") . -}}
{{- if $text -}}
{{- include "leasehold.mustFit" (dict "path" $path "text" $text "form" $one.form "right" $one.right) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name, $text := .Values.commonLabels -}}
{{- if has $name (list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" "app.kubernetes.io/version" "app.kubernetes.io/managed-by" "helm.sh/chart") -}}
{{- fail (printf "commonLabels has %s, which every object of the chart has anyway: leave it out" $name) -}}
{{- end -}}
{{- if not (regexMatch "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$" $name) -}}
{{- fail (printf "commonLabels has %s: a label's name has letters and digits, -, _ and . in the middle, and perhaps a domain and a slash before it" (trunc 120 $name | quote)) -}}
{{- end -}}
{{- $form := "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$" -}}
{{- $right := "a label has at most 63 letters and digits, and -, _ and . in the middle" -}}
{{- include "leasehold.mustFit" (dict "path" (printf "commonLabels.%s" $name) "text" $text "form" $form "right" $right) -}}
{{- end -}}
{{- range $part := list "operator" "injector" "ui" "sidecar" "etcd" -}}
{{- $path := printf "%s.resources" $part -}}
{{- $resources := (index $.Values $part).resources | default dict -}}
{{- range $kind, $amounts := $resources -}}
{{- range $name, $amount := $amounts -}}
{{- if kindIs "string" $amount -}}
{{- $form := "^[0-9]+(\\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$" -}}
{{- $right := "use an amount such as 50m of cpu, or 96Mi of memory" -}}
{{- include "leasehold.mustFit" (dict "path" (printf "%s.%s.%s" $path $kind $name) "text" $amount "form" $form "right" $right) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name, $most := $resources.limits -}}
{{- $least := get ($resources.requests | default dict) $name -}}
{{- if gt (include "leasehold.number" $least | float64) (include "leasehold.number" $most | float64) -}}
{{- fail (printf "%s.requests.%s is %v, above %s.limits.%s, which is %v: set both" $path $name $least $path $name $most) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* How much an amount such as 50m or 96Mi is, 0 if there is none. */}}
{{- define "leasehold.number" -}}
{{- $units := dict "" 1 "m" 0.001 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- if kindIs "string" . -}}
{{- mulf (regexFind "^[0-9.]+" .) (get $units (regexFind "[A-Za-z]*$" .)) -}}
{{- else -}}
{{- . | default 0 -}}
{{- end -}}
{{- end -}}
