locals {
  # the names that the chart, the documentation and the workload identity binding agree on
  namespace                 = "kcorder"
  release                   = "kcorder"
  collector_service_account = "kcorder-collector"

  # images at the names under which images/ pushes them, if it is known where
  images = var.artifact_repository == null ? {} : {
    for part in ["agent", "collector"] : part => {
      repository = "${var.artifact_repository.location}-docker.pkg.dev/${var.artifact_repository.project}/${var.artifact_repository.repository}/kcorder-${part}"
    }
  }

  chart_values = merge(
    {
      for part, values in {
        agent     = {}
        collector = { persistence = { storageClass = kubernetes_storage_class_v1.evidence.metadata[0].name } }
      } : part => merge(values, contains(keys(local.images), part) ? { image = local.images[part] } : {})
    },
    {
      clusterName = var.name
      # its key is the bucket's default, so it is not named again
      store = { kind = "gcs", gcs = { bucket = google_storage_bucket.evidence.name } }
    },
  )
}

resource "kubernetes_namespace_v1" "kcorder" {
  metadata {
    name = local.namespace

    # The agent is privileged. Nothing else belongs into this namespace.
    labels = {
      "pod-security.kubernetes.io/enforce" = "privileged"
      "pod-security.kubernetes.io/audit"   = "privileged"
      "pod-security.kubernetes.io/warn"    = "privileged"
    }
  }

  lifecycle {
    # its volume holds the evidence, its Secret the identity of collector and agents
    prevent_destroy = true
  }

  depends_on = [google_container_node_pool.nodes]
}

resource "kubernetes_storage_class_v1" "evidence" {
  metadata {
    name = "kcorder-evidence"
  }

  storage_provisioner    = "pd.csi.storage.gke.io"
  volume_binding_mode    = "WaitForFirstConsumer"
  allow_volume_expansion = true

  # the disk outlives claim, namespace and cluster
  reclaim_policy = "Retain"

  parameters = merge(
    { type = "pd-balanced" },
    var.disk_kms_key == null ? {} : { "disk-encryption-kms-key" = var.disk_kms_key },
  )

  depends_on = [google_container_node_pool.nodes]
}

resource "helm_release" "kcorder" {
  count = var.install_chart ? 1 : 0

  name      = local.release
  namespace = kubernetes_namespace_v1.kcorder.metadata[0].name
  chart     = "${path.module}/../../../helm/kcorder"
  values    = [yamlencode(local.chart_values), yamlencode(var.chart_values)]

  create_namespace = false
  wait             = true
  timeout          = 900
  max_history      = 10

  # a failed first installation stays to be looked at; nothing is rolled back over the collector's data
  atomic = false

  # otherwise its first upload may be refused
  depends_on = [google_storage_bucket_iam_member.collector]
}
