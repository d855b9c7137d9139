import { installGoProgram } from './go-build.ts';

/** The path of kubeconform, which checks manifests against JSON schemas. Built by Go. */
export async function ensureKubeconform(): Promise<string> {
  return await installGoProgram('github.com/yannh/kubeconform/cmd/kubeconform', '0.8.0', {});
}
