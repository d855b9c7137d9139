data "google_project" "this" {
  project_id = var.project_id

  depends_on = [google_project_service.needed]
}

# asking for it brings it into being, which a key's IAM needs
data "google_storage_project_service_account" "this" {
  depends_on = [google_project_service.needed]
}

locals {
  workload_pool = "${var.project_id}.svc.id.goog"

  # The collector's Kubernetes service account itself: no Google service account, no key, no annotation in the chart.
  collector = join("/", [
    "principal://iam.googleapis.com/projects/${data.google_project.this.number}/locations/global/workloadIdentityPools",
    local.workload_pool, "subject/ns/${local.namespace}/sa/${local.collector_service_account}",
  ])

  kms_keys = compact([var.cluster_kms_key, var.disk_kms_key, var.evidence_kms_key])

  # who uses which key: Google's own agents of the service that encrypts
  kms_users = merge(
    var.cluster_kms_key == null ? {} : {
      cluster = { key = var.cluster_kms_key, member = "serviceAccount:service-${data.google_project.this.number}@container-engine-robot.iam.gserviceaccount.com" }
    },
    var.disk_kms_key == null ? {} : {
      disks = { key = var.disk_kms_key, member = "serviceAccount:service-${data.google_project.this.number}@compute-system.iam.gserviceaccount.com" }
    },
    var.evidence_kms_key == null ? {} : {
      evidence = { key = var.evidence_kms_key, member = "serviceAccount:${data.google_storage_project_service_account.this.email_address}" }
    },
  )
}

resource "google_kms_crypto_key_iam_member" "user" {
  for_each = local.kms_users

  crypto_key_id = each.value.key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = each.value.member

  depends_on = [google_project_service.needed]
}

# --- nodes: logs, metrics, and the images of one repository ---

resource "google_service_account" "nodes" {
  account_id   = "${var.name}-nodes"
  display_name = "Nodes of the cluster ${var.name}"

  depends_on = [google_project_service.needed]
}

resource "google_project_iam_member" "nodes" {
  project = var.project_id
  role    = "roles/container.defaultNodeServiceAccount"
  member  = google_service_account.nodes.member
}

resource "google_artifact_registry_repository_iam_member" "nodes" {
  count = var.artifact_repository == null ? 0 : 1

  project    = var.artifact_repository.project
  location   = var.artifact_repository.location
  repository = var.artifact_repository.repository
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.nodes.member
}

# --- collector: objects of this one bucket, and to look at the bucket's settings; it cannot change the bucket ---

locals {
  # objectUser may delete too, once the bucket no longer retains the object. The other two cannot, whoever may have taken
  # the collector over, and then evidence only ever grows.
  collector_object_roles = var.evidence_deletion ? ["roles/storage.objectUser"] : ["roles/storage.objectCreator", "roles/storage.objectViewer"]
}

resource "google_storage_bucket_iam_member" "collector" {
  for_each = toset(concat(local.collector_object_roles, ["roles/storage.bucketViewer"]))

  bucket = google_storage_bucket.evidence.name
  role   = each.key
  member = local.collector

  # the workload identity pool comes into being with the first cluster that uses it
  depends_on = [google_container_cluster.kcorder]
}
