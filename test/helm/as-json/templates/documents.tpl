{{- range regexSplit "(?m)^---.*$" .Values.text -1 }}
{{- if regexMatch "(?m)^[^#\\s]" . }}
---
{{ fromYaml . | toJson }}
{{- end }}
{{- end }}
