import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { buildOnce } from './build-once.ts';
import { cachePath, repoDir } from './cache.ts';
import { fingerprint } from './fingerprint.ts';
import { buildGoProgram } from './go-build.ts';
import { pruneBeside } from './prune.ts';

/** As in the go.mod files. */
const kubernetesVersion = '1.34.4';
const nameServerVersion = '1.14.0';

const cluster = join(repoDir, 'tools/lab/cluster');

/** The names under which the one program is started, see main.go. */
const names = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kube-proxy', 'kubelet', 'kubectl'];

/**
 * A folder with all parts of Kubernetes: the file `kubernetes` (static, 135 MB) and a link to it for every name. Built with Go
 * from public modules: about five minutes on two cores, 4.4 GB in Go's caches.
 */
export async function ensureKubernetes(): Promise<string> {
  const source = join(cluster, 'kubernetes');
  const key = fingerprint({ texts: [kubernetesVersion, ...names], paths: sources(source) });
  const what = `Kubernetes ${kubernetesVersion} (go)`;
  return await buildOnce(cachePath(`kubernetes-${kubernetesVersion}`, key), what, async (temporaryPath) => {
    mkdirSync(temporaryPath);
    const [major, minor] = kubernetesVersion.split('.');
    // kubectl refuses to talk to a server whose version is not stamped
    const stamp = { gitVersion: `v${kubernetesVersion}`, gitMajor: major, gitMinor: minor };
    const flags = Object.entries(stamp).map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`);
    await buildGoProgram(what, source, join(temporaryPath, 'kubernetes'), flags);
    for (const name of names) symlinkSync('kubernetes', join(temporaryPath, name));
    pruneBeside(temporaryPath.replace(/\.tmp$/, ''), 1);
  });
}

/** The path of CoreDNS with few of its plugins: static, built with Go from public modules in a minute or two. */
export async function ensureNameServer(): Promise<string> {
  const source = join(cluster, 'dns');
  const key = fingerprint({ texts: [nameServerVersion], paths: sources(source) });
  const what = `CoreDNS ${nameServerVersion} (go)`;
  return await buildOnce(cachePath(`coredns-${nameServerVersion}`, key), what, async (temporaryPath) => {
    await buildGoProgram(what, source, temporaryPath);
    pruneBeside(temporaryPath.replace(/\.tmp$/, ''), 1);
  });
}

function sources(folder: string): string[] {
  return ['main.go', 'go.mod', 'go.sum'].map((name) => join(folder, name));
}
