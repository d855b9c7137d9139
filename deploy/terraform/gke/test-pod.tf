# The published method's test pod: something whose every process and port you know before you capture its node.
resource "kubernetes_config_map_v1" "forensics_test" {
  count = var.test_pod ? 1 : 0

  metadata {
    name      = "forensics-test"
    namespace = "default"
  }

  data = {
    "beacon.py" = file("${path.module}/beacon.py")
  }

  depends_on = [google_container_node_pool.nodes]
}

resource "kubernetes_pod_v1" "forensics_test" {
  count = var.test_pod ? 1 : 0

  metadata {
    name      = "forensics-test"
    namespace = "default"
    labels    = { "app.kubernetes.io/name" = "forensics-test" }
  }

  spec {
    automount_service_account_token = false
    enable_service_links            = false

    security_context {
      run_as_non_root = true
      run_as_user     = 65534

      seccomp_profile {
        type = "RuntimeDefault"
      }
    }

    container {
      name    = "netcat"
      image   = var.test_pod_images.netcat
      command = ["nc", "-lk", "-p", "4444", "-e", "cat"]

      port {
        container_port = 4444
      }

      resources {
        requests = { cpu = "10m", memory = "16Mi" }
        limits   = { memory = "32Mi" }
      }

      security_context {
        allow_privilege_escalation = false
        read_only_root_filesystem  = true

        capabilities {
          drop = ["ALL"]
        }
      }
    }

    container {
      name    = "script"
      image   = var.test_pod_images.script
      command = ["python3", "/app/beacon.py"]

      port {
        container_port = 8000
      }

      resources {
        requests = { cpu = "10m", memory = "32Mi" }
        limits   = { memory = "64Mi" }
      }

      security_context {
        allow_privilege_escalation = false
        read_only_root_filesystem  = true

        capabilities {
          drop = ["ALL"]
        }
      }

      volume_mount {
        name       = "app"
        mount_path = "/app"
        read_only  = true
      }
    }

    volume {
      name = "app"

      config_map {
        name = kubernetes_config_map_v1.forensics_test[0].metadata[0].name
      }
    }
  }
}
