import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { avmlVersion } from './avml.ts';
import { buildOnce } from './build-once.ts';
import { cachePath, repoDir } from './cache.ts';
import { makeExt4 } from './ext4.ts';
import { fingerprint } from './fingerprint.ts';
import { copyPackages, productionPackages } from './image-npm.ts';
import { writeAvml, writeNode, writeSystem } from './image-tree.ts';
import { pruneBeside } from './prune.ts';

const workspaces = ['agent', 'proto'];
const packageFiles = ['package.json', 'package-lock.json', 'agent/package.json', 'proto/package.json'];
const sources = ['agent-runtime.ts', 'image-npm.ts', 'image-packages.ts', 'image-tree.ts'];

/** Where the lab mounts what the chart would. */
const mountPoints = ['run/kcorder', 'host/etc', 'host/var/log/containers'];

/**
 * An ext4 image with all that the agent's container holds but our own sources: Node, AVML, their libraries, and the agent's
 * production dependencies. The sources are laid over it, so a change in them rebuilds nothing. Mounted at `/`, the app is in `/app`.
 */
export async function ensureAgentRuntime(): Promise<string> {
  const name = fingerprint({
    texts: [process.version, avmlVersion],
    paths: [
      ...packageFiles.map((path) => join(repoDir, path)),
      ...sources.map((path) => join(import.meta.dirname, path)),
    ],
  });
  return await buildOnce(
    cachePath('agent-runtimes', `${name}.ext4`),
    "runtime of the agent's container",
    async (temporaryPath) => {
      const root = `${temporaryPath}.root`;
      rmSync(root, { recursive: true, force: true });
      mkdirSync(root);
      await writeSystem(root);
      writeNode(root);
      await writeAvml(root);
      for (const path of mountPoints) mkdirSync(join(root, path), { recursive: true });
      const app = join(root, 'app');
      mkdirSync(app);
      copyPackages(await productionPackages(workspaces), workspaces, app);
      await makeExt4(root, temporaryPath, { freeMiB: 0 });
      rmSync(root, { recursive: true });
      pruneBeside(temporaryPath.replace(/\.tmp$/, ''));
    },
  );
}
