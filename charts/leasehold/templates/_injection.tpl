{{- /*
What injects, "policy" or "webhook", or both while an upgrade goes over from one to the other: what is there stays until
the other one is known to work, and the next upgrade takes it away. Empty without an injector.
*/ -}}
{{- define "leasehold.injectsBy" -}}
{{- if .Values.injector.enabled -}}
{{- $served := .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy" -}}
{{- $name := printf "%s-injector" (include "leasehold.fullname" .) -}}
{{- $webhook := lookup "admissionregistration.k8s.io/v1" "MutatingWebhookConfiguration" "" $name -}}
{{- $policy := dict -}}
{{- if $served -}}
{{- $policy = lookup "admissionregistration.k8s.io/v1" "MutatingAdmissionPolicyBinding" "" $name -}}
{{- end -}}
{{- $pods := lookup "apps/v1" "Deployment" .Release.Namespace $name -}}
{{- $ready := and $webhook (dig "clientConfig" "caBundle" "" (first (dig "webhooks" (list dict) $webhook))) (dig "status" "readyReplicas" 0 $pods) -}}
{{- if eq (include "leasehold.injectorMode" .) "policy" -}}
policy{{ if and $webhook (not $policy) }} and webhook{{ end }}
{{- else -}}
webhook{{ if and $policy (not $ready) }} and policy{{ end }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The value injector.mode, decided: without a cluster to ask, what every cluster can do. */}}
{{- define "leasehold.injectorMode" -}}
{{- if ne .Values.injector.mode "auto" -}}
{{- .Values.injector.mode -}}
{{- else if .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy" -}}
policy
{{- else -}}
webhook
{{- end -}}
{{- end -}}

{{/* The sidecar's settings by their names in CEL, as JSON. */}}
{{- define "leasehold.settings" -}}
{{- $root := . -}}
{{- $urls := list -}}
{{- range splitList "," (include "leasehold.etcdUrls" $root | lower) -}}
{{- $urls = append $urls (ternary . (printf "%s:2379" .) (regexMatch ":[0-9]+$" .)) -}}
{{- end -}}
{{- $settings := dict
  "version" $root.Chart.AppVersion
  "image" (include "leasehold.image" (list $root $root.Values.sidecar.image))
  "pullPolicy" $root.Values.sidecar.image.pullPolicy
  "etcd" (uniq $urls)
  "etcdSecret" (include "leasehold.etcdSecret" $root)
  "serverTlsOnly" (not (empty (include "leasehold.serverTlsOnly" $root)))
  "etcdUser" (include "leasehold.sidecarUser" $root)
  "passwordSecret" (include "leasehold.passwordSecret" $root)
  "root" $root.Values.etcd.root
  "requireLockByDefault" $root.Values.injector.requireLock
  "pullSecrets" (include "leasehold.sidecarPullSecrets" $root | fromJsonArray)
  "anyUser" (not (empty (include "leasehold.anyUser" $root)))
  "requireOptIn" $root.Values.injector.requireOptIn
-}}
{{- $settings | toJson -}}
{{- end -}}

{{/* The same as CEL variables: (list . files/injection.yaml). JSON texts, lists and numbers are CEL, too. */}}
{{- define "leasehold.celSettings" -}}
{{- $root := index . 0 -}}
{{- $resources := $root.Values.sidecar.resources | default (index . 1).defaultResources -}}
{{- range $name, $value := include "leasehold.settings" $root | fromJson }}
- name: {{ $name }}
  expression: {{ $value | toJson | toJson }}
{{- end }}
- name: usualResources
  expression: {{ include "leasehold.celResources" $resources | toJson }}
{{- end -}}

{{- define "leasehold.celResources" -}}
{ {{- range $index, $kind := keys . | sortAlpha -}}
{{- if $index }}, {{ end }}{{ $kind | toJson }}: dyn({ {{- $amounts := get $ $kind -}}
{{- range $at, $name := keys $amounts | sortAlpha -}}
{{- if $at }}, {{ end }}{{ $name | toJson }}: dyn({{ get $amounts $name | toJson }})
{{- end }}})
{{- end }}}
{{- end -}}

{{/* Whether a pod is as it asks already, where there are no variables: with the settings in their place. */}}
{{- define "leasehold.celDone" -}}
{{- $text := (.Files.Get "files/injection.yaml" | fromYaml).done -}}
{{- range $name, $value := include "leasehold.settings" . | fromJson -}}
{{- $text = regexReplaceAllLiteral (printf "variables\\.%s\\b" $name) $text ($value | toJson) -}}
{{- end -}}
{{- $text -}}
{{- end -}}

{{/* All variables of a pod's policies; `refusal` is the first sentence that applies, or empty. */}}
{{- define "leasehold.celVariables" -}}
{{- $cel := .Files.Get "files/injection.yaml" | fromYaml -}}
{{- include "leasehold.celSettings" (list . $cel) }}
{{ toYaml $cel.request }}
{{- include "leasehold.celRefusal" . }}
{{ toYaml $cel.result }}
{{- end -}}

{{- define "leasehold.celRefusal" -}}
{{- $refused := .Files.Get "files/refusals.yaml" | fromYaml -}}
{{- $chain := "''" -}}
{{- range reverse $refused.refusals -}}
{{- $chain = printf "%s ? %s : %s" .when .say $chain -}}
{{- end }}
{{ toYaml $refused.variables }}
- name: refusal
  expression: {{ printf "variables.plain ? '' : %s" $chain | toJson }}
{{- end -}}

{{/* Those about a workload, whose pods are judged as any pod is: their `object` is a variable here. */}}
{{- define "leasehold.celAdviceVariables" -}}
{{- $cel := .Files.Get "files/injection.yaml" | fromYaml -}}
{{- $advice := .Files.Get "files/advice.yaml" | fromYaml -}}
{{- $replaced := list "right" "arguments" "environment" -}}
{{- range $advice.instead -}}
{{- $replaced = append $replaced .name -}}
{{- end -}}
{{- $request := list -}}
{{- range $cel.request -}}
{{- if not (has .name $replaced) -}}
{{- $request = append $request . -}}
{{- end -}}
{{- end -}}
{{- include "leasehold.celSettings" (list . $cel) }}
{{ toYaml (concat $advice.before $advice.instead) }}
{{ toYaml $request | replace "object." "variables.pod." }}
{{- include "leasehold.celRefusal" . | replace "object." "variables.pod." }}
{{ toYaml $advice.after }}
{{- end -}}
