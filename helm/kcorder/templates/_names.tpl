{{- define "kcorder.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "kcorder.agentName" -}}
{{ include "kcorder.fullname" . }}-agent
{{- end }}

{{- define "kcorder.collectorName" -}}
{{ include "kcorder.fullname" . }}-collector
{{- end }}

{{- define "kcorder.host" -}}
{{ include "kcorder.collectorName" . }}.{{ .Release.Namespace }}.svc
{{- end }}

{{/* What agents and people may call the collector by, as a JSON list. */}}
{{- define "kcorder.serverNames" -}}
{{- $name := include "kcorder.collectorName" . }}
{{- $host := include "kcorder.host" . }}
{{- concat (list $host (printf "%s.%s" $host .Values.clusterDomain) (printf "%s.%s" $name .Release.Namespace) $name) .Values.tls.extraServerNames | toJson }}
{{- end }}

{{- define "kcorder.tlsSecret" -}}
{{- if eq .Values.tls.mode "certManager" -}}
{{ include "kcorder.collectorName" . }}-tls
{{- else -}}
{{ required "tls.existingSecret: tls.mode is existingSecret, so name a Secret with tls.crt, tls.key and ca.crt" .Values.tls.existingSecret }}
{{- end }}
{{- end }}

{{- define "kcorder.claim" -}}
{{- default (printf "%s-data" (include "kcorder.collectorName" .)) .Values.collector.persistence.existingClaim }}
{{- end }}

{{/* The name is never another: by it the command line finds the collector. */}}
{{- define "kcorder.instanceLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "kcorder.labels" -}}
{{ include "kcorder.instanceLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "kcorder.agentSelector" -}}
{{ include "kcorder.instanceLabels" . }}
app.kubernetes.io/component: agent
{{- end }}

{{- define "kcorder.collectorSelector" -}}
{{ include "kcorder.instanceLabels" . }}
app.kubernetes.io/component: collector
{{- end }}

{{- define "kcorder.testSelector" -}}
{{ include "kcorder.instanceLabels" . }}
app.kubernetes.io/component: test
{{- end }}

{{/* Of a list: repository, tag, digest, the chart's appVersion. */}}
{{- define "kcorder.image" -}}
{{- if index . 2 -}}
{{ index . 0 }}@{{ index . 2 }}
{{- else -}}
{{ index . 0 }}:{{ default (index . 3) (index . 1) }}
{{- end }}
{{- end }}

{{- define "kcorder.collectorImage" -}}
{{ include "kcorder.image" (list .Values.collector.image.repository .Values.collector.image.tag .Values.collector.image.digest .Chart.AppVersion) }}
{{- end }}

{{/* The restricted profile of Pod Security, container's part. */}}
{{- define "kcorder.restricted" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "kcorder.dnsEgress" -}}
- to:
    {{- toYaml .Values.networkPolicy.dnsTo | nindent 4 }}
  ports:
    {{- range .Values.networkPolicy.dnsPorts }}
    - port: {{ . }}
      protocol: UDP
    - port: {{ . }}
      protocol: TCP
    {{- end }}
{{- end }}

{{/* Helm names the template that has no right to look something up, and nothing can catch that: so the name says what to do. */}}
{{- define "kubectl get endpointslices kubernetes --namespace default (and set networkPolicy.apiServerTo)" -}}
{{ dict "slice" (lookup "discovery.k8s.io/v1" "EndpointSlice" "default" "kubernetes") "service" (lookup "v1" "Service" "default" "kubernetes") | toJson }}
{{- end }}

{{/* Its Service is in it as well: some network plugins look at packages before its address becomes a real one. */}}
{{- define "kcorder.apiServerEgress" -}}
{{- if .Values.networkPolicy.apiServerTo }}
- to:
    {{- toYaml .Values.networkPolicy.apiServerTo | nindent 4 }}
  ports:
    {{- range .Values.networkPolicy.apiServerPorts }}
    - port: {{ . }}
      protocol: TCP
    {{- end }}
{{- else }}
{{- $found := include "kubectl get endpointslices kubernetes --namespace default (and set networkPolicy.apiServerTo)" . | fromJson }}
{{- $slice := $found.slice }}
{{- if not (and $slice.endpoints $slice.ports) }}
{{- fail (printf "networkPolicy.apiServerTo: where the API server is could not be looked up, which needs a cluster and the right to read it (helm template, lint and --dry-run=client have neither). Print its addresses and ports with\n\n  %s\n\nand set networkPolicy.apiServerTo[0].ipBlock.cidr=ADDRESS/32 and networkPolicy.apiServerPorts={PORT}" "kubectl get endpointslices kubernetes --namespace default") }}
{{- end }}
- to:
    {{- range $slice.endpoints }}
    {{- range .addresses }}
    - ipBlock:
        cidr: {{ . }}/{{ ternary 128 32 (contains ":" .) }}
    {{- end }}
    {{- end }}
  ports:
    {{- range $slice.ports }}
    - port: {{ .port | int64 }}
      protocol: TCP
    {{- end }}
{{- with $found.service.spec }}
- to:
    {{- range default (list .clusterIP) .clusterIPs }}
    - ipBlock:
        cidr: {{ . }}/{{ ternary 128 32 (contains ":" .) }}
    {{- end }}
  ports:
    {{- range .ports }}
    - port: {{ .port | int64 }}
      protocol: TCP
    {{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The alerts name their jobs, whatever the release is called. */}}
{{- define "kcorder.jobLabel" -}}
- targetLabel: job
  replacement: {{ . }}
{{- end }}
