import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildOnce } from './build-once.ts';
import { cachePath } from './cache.ts';
import { command } from './command.ts';
import { findProgram } from './environment.ts';
import { SetupFailure } from './failure.ts';
import { installPackages } from './host-packages.ts';

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
  return await ensureGoProgram(module, version, variables);
}

/** The path of helm-docs, which writes a chart's README from the comments in its values. Built by Go. */
export async function ensureHelmDocs(): Promise<string> {
  return await ensureGoProgram('github.com/norwoodj/helm-docs/cmd/helm-docs', '1.14.2', {});
}

/** The path of a program of a public Go module, built without cgo in the version named; `variables` are set by the linker. */
export async function ensureGoProgram(
  module: string,
  version: string,
  variables: Readonly<Record<string, string>>,
): Promise<string> {
  const name = module.slice(module.lastIndexOf('/') + 1);
  return await buildOnce(cachePath('go', `${name}-${version}`), `${name} ${version} (go)`, async (temporaryPath) => {
    const bin = `${temporaryPath}.bin`;
    const linker = Object.entries(variables).map(([variable, value]) => `-X ${variable}=${value}`);
    try {
      await command(await ensureGo(), ['install', `-ldflags=-s -w ${linker.join(' ')}`, `${module}@v${version}`], {
        env: { GOBIN: bin, CGO_ENABLED: '0', GOFLAGS: '-mod=mod' },
      });
      renameSync(join(bin, name), temporaryPath);
      rmSync(bin, { recursive: true });
    } catch (cause) {
      throw new SetupFailure(
        `cannot build ${name} ${version}`,
        'Go modules',
        'Check the network and that Go is a recent one, then try again.',
        cause,
      );
    }
  });
}

/** The path of Go. */
export async function ensureGo(): Promise<string> {
  if (!findProgram('go')) await installPackages(['golang-go']);
  return findProgram('go') ?? 'go';
}
