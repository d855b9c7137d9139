# Where evidence lies at rest. On the collector's volume is only what is on its way, and what analyses made of it.
resource "google_storage_bucket" "evidence" {
  name     = local.evidence_bucket
  location = local.evidence_location
  labels   = var.labels

  # rights by IAM only, and never for the public, whatever anybody grants later
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  # with objects in it, it is never deleted
  force_destroy = false

  retention_policy {
    retention_period = var.evidence_retention_days * 24 * 60 * 60
    is_locked        = var.evidence_retention_locked
  }

  # Off on purpose: Cloud Storage does not take it together with a retention policy. Each object is written once and
  # retention forbids to replace it, so there are no older versions; against a deletion after that stands soft delete.
  versioning {
    enabled = false
  }

  soft_delete_policy {
    retention_duration_seconds = var.evidence_soft_delete_days * 24 * 60 * 60
  }

  dynamic "encryption" {
    for_each = var.evidence_kms_key == null ? [] : [var.evidence_kms_key]

    content {
      default_kms_key_name = encryption.value
    }
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }

    condition {
      age = 7
    }
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [
    google_kms_crypto_key_iam_member.user,
    google_project_service.needed,
  ]
}

resource "google_project_iam_audit_config" "storage" {
  count = var.audit_storage_access ? 1 : 0

  project = var.project_id
  service = "storage.googleapis.com"

  audit_log_config {
    log_type = "DATA_READ"
  }

  audit_log_config {
    log_type = "DATA_WRITE"
  }
}

locals {
  evidence_bucket   = coalesce(var.evidence_bucket, "${var.project_id}-${var.name}-evidence")
  evidence_location = coalesce(var.evidence_location, var.region)
}
