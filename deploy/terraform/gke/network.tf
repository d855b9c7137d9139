resource "google_project_service" "needed" {
  for_each = toset(concat(
    ["compute.googleapis.com", "container.googleapis.com", "iam.googleapis.com", "storage.googleapis.com"],
    length(local.kms_keys) == 0 ? [] : ["cloudkms.googleapis.com"],
  ))

  service            = each.key
  disable_on_destroy = false
}

resource "google_compute_network" "kcorder" {
  name                    = var.name
  auto_create_subnetworks = false

  depends_on = [google_project_service.needed]
}

resource "google_compute_subnetwork" "nodes" {
  name          = "${var.name}-nodes"
  network       = google_compute_network.kcorder.id
  region        = var.region
  ip_cidr_range = var.node_cidr

  # Google's APIs without a public address: Artifact Registry, Cloud Storage with cos-tools and the evidence, KMS.
  private_ip_google_access = true

  secondary_ip_range {
    range_name    = "pods"
    ip_cidr_range = var.pod_cidr
  }

  secondary_ip_range {
    range_name    = "services"
    ip_cidr_range = var.service_cidr
  }
}

resource "google_compute_router" "nat" {
  count = var.nat ? 1 : 0

  name    = "${var.name}-nat"
  network = google_compute_network.kcorder.id
  region  = var.region
}

resource "google_compute_router_nat" "nat" {
  count = var.nat ? 1 : 0

  name                               = "${var.name}-nat"
  router                             = google_compute_router.nat[0].name
  region                             = var.region
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "LIST_OF_SUBNETWORKS"

  subnetwork {
    name                    = google_compute_subnetwork.nodes.id
    source_ip_ranges_to_nat = ["ALL_IP_RANGES"]
  }

  # what a symbol source or a registry was asked for, and by which node, is worth having later
  log_config {
    enable = true
    filter = "ALL"
  }
}
