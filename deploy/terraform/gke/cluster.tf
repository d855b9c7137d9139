# GKE Standard, not Autopilot: Autopilot admits neither privileged containers nor CAP_SYS_ADMIN, and without them no
# process can read /proc/kcore and see the addresses in /proc/iomem. See the README.
resource "google_container_cluster" "kcorder" {
  name     = var.name
  location = coalesce(var.zone, var.region)

  network         = google_compute_network.kcorder.id
  subnetwork      = google_compute_subnetwork.nodes.id
  networking_mode = "VPC_NATIVE"

  # Dataplane V2: it enforces the chart's NetworkPolicies. Without it (or Calico) they would be accepted and ignored.
  datapath_provider = "ADVANCED_DATAPATH"

  enable_shielded_nodes = true
  deletion_protection   = var.deletion_protection
  resource_labels       = var.labels

  # GKE insists on a first pool. It is deleted at once; the pool below can be changed without touching the cluster.
  remove_default_node_pool = true
  initial_node_count       = 1

  node_config {
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]

    shielded_instance_config {
      enable_secure_boot          = var.secure_boot
      enable_integrity_monitoring = true
    }
  }

  ip_allocation_policy {
    cluster_secondary_range_name  = "pods"
    services_secondary_range_name = "services"
  }

  private_cluster_config {
    enable_private_nodes    = true
    enable_private_endpoint = var.private_endpoint
    master_ipv4_cidr_block  = var.control_plane_cidr
  }

  master_authorized_networks_config {
    gcp_public_cidrs_access_enabled = false

    dynamic "cidr_blocks" {
      for_each = var.authorized_networks

      content {
        cidr_block   = cidr_blocks.value.cidr
        display_name = cidr_blocks.value.name
      }
    }
  }

  master_auth {
    client_certificate_config {
      issue_client_certificate = false
    }
  }

  release_channel {
    channel = var.release_channel
  }

  maintenance_policy {
    recurring_window {
      start_time = var.maintenance_window.start
      end_time   = var.maintenance_window.end
      recurrence = var.maintenance_window.recurrence
    }
  }

  workload_identity_config {
    workload_pool = local.workload_pool
  }

  # Encrypts Secrets once more before they go into etcd. Google encrypts the disks below in any case.
  dynamic "database_encryption" {
    for_each = var.cluster_kms_key == null ? [] : [var.cluster_kms_key]

    content {
      state    = "ENCRYPTED"
      key_name = database_encryption.value
    }
  }

  logging_config {
    enable_components = ["SYSTEM_COMPONENTS", "WORKLOADS"]
  }

  lifecycle {
    # of the first pool, which is gone
    ignore_changes = [node_config, initial_node_count]
  }

  depends_on = [
    google_kms_crypto_key_iam_member.user,
    google_project_iam_member.nodes,
    google_project_service.needed,
  ]
}

resource "google_container_node_pool" "nodes" {
  name       = "nodes"
  cluster    = google_container_cluster.kcorder.id
  node_count = var.node_count

  # Both replace nodes, and with a node goes its memory: see the README on incidents.
  management {
    auto_repair  = true
    auto_upgrade = true
  }

  upgrade_settings {
    strategy        = "SURGE"
    max_surge       = 1
    max_unavailable = 0
  }

  network_config {
    enable_private_nodes = true
  }

  node_config {
    image_type        = var.node_image
    machine_type      = var.machine_type
    disk_size_gb      = var.node_disk_gb
    disk_type         = "pd-balanced"
    boot_disk_kms_key = var.disk_kms_key
    service_account   = google_service_account.nodes.email
    oauth_scopes      = ["https://www.googleapis.com/auth/cloud-platform"]
    tags              = var.network_tags
    resource_labels   = var.labels
    metadata          = { disable-legacy-endpoints = "true" }

    # Boots only what Google signed. Lockdown in mode integrity, if the image turns it on, leaves /proc/kcore readable;
    # mode confidentiality closes it, and nothing here asks for that mode.
    shielded_instance_config {
      enable_secure_boot          = var.secure_boot
      enable_integrity_monitoring = true
    }

    # pods get their own identity from the metadata server, never the node's
    workload_metadata_config {
      mode = "GKE_METADATA"
    }

    kubelet_config {
      insecure_kubelet_readonly_port_enabled = "FALSE"
    }
  }
}
