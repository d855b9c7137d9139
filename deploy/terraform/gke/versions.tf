terraform {
  # 1.9 is the first that lets a validation look at another variable
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.24"
    }
    kubernetes = {
      source  = "hashicorp/kubernetes"
      version = "~> 2.38"
    }
    helm = {
      source  = "hashicorp/helm"
      version = "~> 3.1"
    }
  }
}

provider "google" {
  project = var.project_id
  region  = var.region
}

# Both log in with the plugin that kubectl uses. A google_client_config data source would leave an access token in the state.
provider "kubernetes" {
  host                   = local.cluster_host
  cluster_ca_certificate = local.cluster_ca

  exec {
    api_version = local.cluster_login.api_version
    command     = local.cluster_login.command
  }
}

provider "helm" {
  kubernetes = {
    host                   = local.cluster_host
    cluster_ca_certificate = local.cluster_ca
    exec                   = local.cluster_login
  }
}

locals {
  cluster_host = "https://${google_container_cluster.kcorder.endpoint}"
  cluster_ca   = base64decode(google_container_cluster.kcorder.master_auth[0].cluster_ca_certificate)
  cluster_login = {
    api_version = "client.authentication.k8s.io/v1beta1"
    command     = "gke-gcloud-auth-plugin"
  }
}
