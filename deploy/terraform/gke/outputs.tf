output "next" {
  description = "What to type next."
  value       = <<-TEXT
    gcloud container clusters get-credentials ${google_container_cluster.kcorder.name} --location ${google_container_cluster.kcorder.location} --project ${var.project_id}
    kubectl --namespace ${local.namespace} get pods --output wide
    kcorder get nodes
    kcorder symbols get
    kcorder admin store-check
  TEXT
}

output "next_incident" {
  description = "Before anything else in an incident: no upgrade may replace the nodes for three days."
  value       = <<-TEXT
    gcloud container clusters update ${google_container_cluster.kcorder.name} --location ${google_container_cluster.kcorder.location} --project ${var.project_id} --add-maintenance-exclusion-name=incident --add-maintenance-exclusion-start="$(date -u +%Y-%m-%dT%H:%M:%SZ)" --add-maintenance-exclusion-end="$(date -u -d '+3 days' +%Y-%m-%dT%H:%M:%SZ)" --add-maintenance-exclusion-scope=no_upgrades
  TEXT
}

output "test_pod" {
  description = "How to capture the node of the test pod, if there is one."
  value = var.test_pod ? join("\n", [
    "NODE=$(kubectl --namespace default get pod forensics-test --output jsonpath={.spec.nodeName})",
    "kcorder capture \"$NODE\" --reason \"test pod\" --wait",
  ]) : null
}

output "evidence_bucket" {
  description = "The bucket for evidence."
  value       = "gs://${google_storage_bucket.evidence.name}"
}

output "collector_identity" {
  description = "What the collector is to Google's IAM, for rights of your own."
  value       = local.collector
}

output "chart_values" {
  description = "The values that belong to this cluster, for an installation by hand."
  value       = yamlencode(local.chart_values)
}

output "node_tags" {
  description = "Network tags of the nodes, for firewall rules of your own."
  value       = var.network_tags
}
