# --- where ---

variable "project_id" {
  description = "The Google Cloud project that gets the cluster and the evidence bucket. One of its own is best: its owners can read the evidence."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id is the id of a project (6 to 30 characters: a-z, 0-9, -), neither its name nor its number."
  }
}

variable "region" {
  description = "Region of network, cluster and, unless evidence_location says otherwise, evidence."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region looks like europe-west3; a zone belongs into the variable zone."
  }
}

variable "zone" {
  description = "A zone of the region makes a zonal cluster, which costs less. null makes a regional one: node_count nodes in each of three zones."
  type        = string
  default     = null

  validation {
    condition     = var.zone == null || can(regex("^${var.region}-[a-z]$", var.zone))
    error_message = "zone is a zone of the region, such as europe-west3-a, or null."
  }
}

variable "name" {
  description = "Name of the cluster, and beginning of the names of all that belongs to it."
  type        = string
  default     = "kcorder"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,18}[a-z0-9]$", var.name))
    error_message = "name has 2 to 20 characters: a-z, 0-9 and -, a letter first, no - at the end."
  }
}

variable "labels" {
  description = "Labels for cluster, nodes and bucket, such as the cost centre."
  type        = map(string)
  default     = {}
}

# --- network ---

variable "node_cidr" {
  description = "Addresses of the nodes."
  type        = string
  default     = "10.40.0.0/24"

  validation {
    condition     = can(cidrhost(var.node_cidr, 0))
    error_message = "node_cidr is an IPv4 range such as 10.40.0.0/24."
  }
}

variable "pod_cidr" {
  description = "Addresses of the pods; each node takes a /24 of it."
  type        = string
  default     = "10.44.0.0/16"

  validation {
    condition     = can(cidrhost(var.pod_cidr, 0))
    error_message = "pod_cidr is an IPv4 range such as 10.44.0.0/16."
  }
}

variable "service_cidr" {
  description = "Addresses of the services."
  type        = string
  default     = "10.45.0.0/20"

  validation {
    condition     = can(cidrhost(var.service_cidr, 0))
    error_message = "service_cidr is an IPv4 range such as 10.45.0.0/20."
  }
}

variable "control_plane_cidr" {
  description = "A /28 for the control plane, used nowhere else in the network."
  type        = string
  default     = "172.16.0.0/28"

  validation {
    condition     = can(cidrhost(var.control_plane_cidr, 0)) && endswith(var.control_plane_cidr, "/28")
    error_message = "control_plane_cidr is an IPv4 range of size /28."
  }
}

variable "authorized_networks" {
  description = "From where the Kubernetes API may be reached: offices, VPN, the machine that runs Terraform. With private_endpoint these are private ranges."
  type        = list(object({ name = string, cidr = string }))

  validation {
    condition     = length(var.authorized_networks) > 0 && alltrue([for network in var.authorized_networks : can(cidrhost(network.cidr, 0))])
    error_message = "authorized_networks needs at least one entry, each with a name and a range such as 203.0.113.7/32."
  }

  validation {
    condition     = alltrue([for network in var.authorized_networks : !endswith(network.cidr, "/0")])
    error_message = "authorized_networks must not be the whole internet: who reaches the API and has the right can take the memory of every node."
  }
}

variable "private_endpoint" {
  description = "true: the Kubernetes API has no public address at all. Terraform and kubectl then need a way into the VPC (VPN, bastion)."
  type        = bool
  default     = false
}

variable "nat" {
  description = "true: nodes and pods get a way out to the internet through Cloud NAT. Needed for debuginfod and for images outside of Google's registries; not for cos-tools, evidence or Artifact Registry."
  type        = bool
  default     = false
}

variable "network_tags" {
  description = "Network tags of the nodes, as handles for firewall rules of your own."
  type        = list(string)
  default     = ["kcorder-node"]
}

# --- cluster and nodes ---

variable "release_channel" {
  description = "GKE's release channel: which versions come, and when."
  type        = string
  default     = "REGULAR"

  validation {
    condition     = contains(["RAPID", "REGULAR", "STABLE", "EXTENDED"], var.release_channel)
    error_message = "release_channel is RAPID, REGULAR, STABLE or EXTENDED."
  }
}

variable "maintenance_window" {
  description = "When GKE may upgrade. An upgrade replaces nodes, and with them the memory that you may want: see the README on incidents."
  type        = object({ start = string, end = string, recurrence = string })
  default = {
    start      = "2026-01-03T02:00:00Z"
    end        = "2026-01-03T10:00:00Z"
    recurrence = "FREQ=WEEKLY;BYDAY=SA,SU"
  }

  validation {
    condition     = can(timecmp(var.maintenance_window.start, var.maintenance_window.end)) && try(timecmp(var.maintenance_window.start, var.maintenance_window.end) < 0, true) && startswith(var.maintenance_window.recurrence, "FREQ=")
    error_message = "maintenance_window needs start before end, both like 2026-01-03T02:00:00Z, and a recurrence of RFC 5545 that begins with FREQ=."
  }
}

variable "deletion_protection" {
  description = "true: Terraform refuses to delete the cluster."
  type        = bool
  default     = true
}

variable "node_count" {
  description = "Nodes per zone."
  type        = number
  default     = 2

  validation {
    condition     = var.node_count >= 1 && floor(var.node_count) == var.node_count
    error_message = "node_count is a whole number from 1."
  }
}

variable "machine_type" {
  description = "Machine type of the nodes, x86-64. The collector's analysis takes up to 4 GiB on one of them."
  type        = string
  default     = "e2-standard-4"

  validation {
    condition     = !can(regex("^(t2a|c4a|n4a|a4x)", var.machine_type))
    error_message = "machine_type must be x86-64: nodes of Arm machines cannot be captured, Volatility does not analyse them."
  }
}

variable "node_disk_gb" {
  description = "Boot disk of a node in GB. No image is ever written there; pods' images and logs are."
  type        = number
  default     = 50

  validation {
    condition     = var.node_disk_gb >= 20
    error_message = "node_disk_gb is at least 20."
  }
}

variable "node_image" {
  description = "Operating system of the nodes."
  type        = string
  default     = "COS_CONTAINERD"

  validation {
    condition     = contains(["COS_CONTAINERD", "UBUNTU_CONTAINERD"], var.node_image)
    error_message = "node_image is COS_CONTAINERD or UBUNTU_CONTAINERD."
  }
}

variable "secure_boot" {
  description = "Secure Boot of the nodes. Lockdown in mode integrity, which it may bring, leaves /proc/kcore readable; mode confidentiality would not. `kcorder get nodes` shows what holds."
  type        = bool
  default     = true
}

variable "artifact_repository" {
  description = "The Artifact Registry repository that the nodes pull kcorder's images from; they get the right to read it. null: the images are elsewhere, or the right exists."
  type        = object({ project = string, location = string, repository = string })
  default     = null
}

# --- encryption: null leaves it to keys that Google holds ---

variable "cluster_kms_key" {
  description = "Cloud KMS key (projects/…/cryptoKeys/NAME, in the region) that encrypts Secrets in the cluster's database, among them the key of kcorder's authority."
  type        = string
  default     = null

  validation {
    condition     = var.cluster_kms_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.cluster_kms_key))
    error_message = "cluster_kms_key is projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY, without a version, or null."
  }
}

variable "disk_kms_key" {
  description = "Cloud KMS key (in the region) for the nodes' boot disks and for the collector's volume, which holds the evidence."
  type        = string
  default     = null

  validation {
    condition     = var.disk_kms_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.disk_kms_key))
    error_message = "disk_kms_key is projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY, without a version, or null."
  }
}

variable "evidence_kms_key" {
  description = "Cloud KMS key (in evidence_location) for the evidence bucket."
  type        = string
  default     = null

  validation {
    condition     = var.evidence_kms_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.evidence_kms_key))
    error_message = "evidence_kms_key is projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY, without a version, or null."
  }
}

# --- evidence bucket ---

variable "evidence_bucket" {
  description = "Name of the evidence bucket, unique in the world. null: PROJECT-NAME-evidence."
  type        = string
  default     = null
}

variable "evidence_location" {
  description = "Location of the bucket: a region, or a multi-region such as EU. null: the region."
  type        = string
  default     = null
}

variable "evidence_retention_days" {
  description = "For so many days nobody can delete or replace an object of the bucket. What a schedule would delete earlier stays until then."
  type        = number
  default     = 90

  validation {
    condition     = var.evidence_retention_days >= 1 && var.evidence_retention_days <= 36500
    error_message = "evidence_retention_days is 1 to 36500."
  }
}

variable "evidence_retention_locked" {
  description = "true locks the retention for ever: it can be made longer, never shorter, by nobody, and the bucket stays until its last object is old enough. There is no way back."
  type        = bool
  default     = false
}

variable "evidence_soft_delete_days" {
  description = "For so many days a deleted object can be restored. 0 switches it off; otherwise 7 to 90."
  type        = number
  default     = 30

  validation {
    condition     = var.evidence_soft_delete_days == 0 || (var.evidence_soft_delete_days >= 7 && var.evidence_soft_delete_days <= 90)
    error_message = "evidence_soft_delete_days is 0 or 7 to 90."
  }
}

variable "evidence_deletion" {
  description = "true: the collector may delete objects that the bucket no longer retains, as schedules with a retention and people ask it to. false: it can only write and read, and deletions fail."
  type        = bool
  default     = true
}

variable "audit_storage_access" {
  description = "true: Cloud Audit Logs record each read and write of Cloud Storage objects, in the whole project (and replaces such a setting that the project may have). Costs log storage."
  type        = bool
  default     = false
}

# --- kcorder ---

variable "install_chart" {
  description = "false: the cluster only; install the chart by hand, with the values that the output chart_values shows."
  type        = bool
  default     = true
}

variable "chart_values" {
  description = "Values for the chart, over those that are set here: images, sizes, and so on (see its values.yaml). They end up in the state: no secrets."
  type        = any
  default     = {}
}

# --- test pod ---

variable "test_pod" {
  description = "true: the pod of the published method, with a Netcat listener on 4444 and a Python script on 8000, to capture something that you know."
  type        = bool
  default     = false
}

variable "test_pod_images" {
  description = "Images of the test pod. The default is Google's cache of Docker Hub, which nodes are expected to reach without Cloud NAT."
  type        = object({ netcat = string, script = string })
  default = {
    netcat = "mirror.gcr.io/library/busybox:1.37"
    script = "mirror.gcr.io/library/python:3.13-slim"
  }
}
