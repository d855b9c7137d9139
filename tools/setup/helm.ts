import { installGoProgram } from './go-build.ts';

const helms = {
  3: {
    version: '3.22.0',
    module: 'helm.sh/helm/v3/cmd/helm',
    // Built without these it believes in Kubernetes 1.20 wherever there is no cluster to ask.
    variables: {
      'helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor': '1',
      'helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor': '34',
      'helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor': '1',
      'helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor': '34',
    },
  },
  4: { version: '4.3.1', module: 'helm.sh/helm/v4/cmd/helm', variables: {} },
} as const;

export type HelmMajor = keyof typeof helms;

/** The path of Helm 3 or 4, built by Go. */
export async function ensureHelm(major: HelmMajor): Promise<string> {
  const { version, module, variables } = helms[major];
  return await installGoProgram(module, version, variables);
}

/** The path of helm-docs, which writes a chart's README from the comments in its values. Built by Go. */
export async function ensureHelmDocs(): Promise<string> {
  return await installGoProgram('github.com/norwoodj/helm-docs/cmd/helm-docs', '1.14.2', {});
}
