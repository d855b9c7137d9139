import { createHash } from 'node:crypto';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { ensureRootImage } from '../lab/root-image.ts';
import { downloadWithDependencies, unpackDebs } from './apt-download.ts';
import { avmlVersion, ensureAvml } from './avml.ts';
import { buildOnce } from './build-once.ts';
import { cachePath, repoDir } from './cache.ts';
import { command } from './command.ts';
import { makeExt4 } from './ext4.ts';
import { SetupFailure } from './failure.ts';
import { fingerprint } from './fingerprint.ts';
import { pruneBeside } from './prune.ts';

const libraries = ['libc6', 'libgcc-s1', 'libstdc++6'];
const packageFiles = ['package.json', 'package-lock.json', 'agent/package.json', 'proto/package.json'];

/**
 * An ext4 image with all that the agent's container holds but our own sources: Node, AVML, their libraries, and the agent's
 * production dependencies. The sources are laid over it, so a change in them rebuilds nothing. Mounted at `/`, the app is in `/app`.
 */
export async function ensureAgentRuntime(): Promise<string> {
  const [avml, { busyboxPath }] = [await ensureAvml(), await ensureRootImage()];
  const node = realpathSync(join(repoDir, 'node_modules/node/bin/node'));
  const name = fingerprint({
    texts: [process.version, avmlVersion, ...libraries],
    paths: [...packageFiles.map((path) => join(repoDir, path)), import.meta.filename],
  });
  return await buildOnce(
    cachePath('agent-runtimes', `${name}.ext4`),
    "runtime of the agent's container",
    async (temporaryPath) => {
      const root = `${temporaryPath}.root`;
      rmSync(root, { recursive: true, force: true });
      for (const path of ['usr/bin', 'usr/sbin', 'usr/lib', 'usr/lib64', 'usr/local/bin'])
        mkdirSync(join(root, path), { recursive: true });
      for (const path of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${path}`, join(root, path));
      await unpackDebs(await downloadLibraries(), root);
      for (const path of ['usr/share', 'usr/lib/x86_64-linux-gnu/gconv', 'var'])
        rmSync(join(root, path), { recursive: true, force: true });
      for (const path of [
        'proc',
        'sys',
        'dev',
        'run/kcorder',
        'tmp',
        'etc/kcorder/tls',
        'host/etc',
        'host/var/log/containers',
      ]) {
        mkdirSync(join(root, path), { recursive: true });
      }
      copyFileSync(node, join(root, 'usr/local/bin/node'));
      // The agent makes its FIFO with mkfifo, as any base image has it.
      copyFileSync(busyboxPath, join(root, 'usr/bin/busybox'));
      symlinkSync('busybox', join(root, 'usr/bin/mkfifo'));
      copyFileSync(avml, join(root, 'usr/local/bin/avml'));
      const digest = createHash('sha256').update(readFileSync(avml)).digest('hex');
      writeFileSync(join(root, 'usr/local/bin/avml.sha256'), `${digest}  avml\n`);
      await copyDependencies(join(root, 'app'));
      await makeExt4(root, temporaryPath, { freeMiB: 0 });
      rmSync(root, { recursive: true });
      pruneBeside(temporaryPath.replace(/\.tmp$/, ''));
    },
  );
}

async function downloadLibraries(): Promise<string[]> {
  return await downloadWithDependencies(libraries, 'agent').catch((cause: unknown) => {
    throw new SetupFailure(
      `cannot fetch ${libraries.join(', ')} for the agent's container`,
      'Debian packages',
      'Run `apt-get update` and check the network, then try again.',
      cause,
    );
  });
}

/** The packages that npm counts as the agent's and the contract's for production, as they lie in the checkout: no network needed. */
async function copyDependencies(app: string): Promise<void> {
  const only = ['--workspace=agent', '--workspace=proto', '--omit=dev', '--all', '--parseable'];
  const listed = await command('npm', ['ls', ...only], { cwd: repoDir }).catch((cause: unknown) => {
    throw new SetupFailure(
      "npm cannot list the agent's dependencies",
      'npm',
      'Run `npm ci` in the checkout, then try again.',
      cause,
    );
  });
  const ours = join(repoDir, 'node_modules', '@kcorder');
  for (const path of listed.trim().split('\n')) {
    if (!path.startsWith(join(repoDir, 'node_modules/')) || dirname(path) === ours) continue;
    cpSync(path, join(app, relative(repoDir, path)), { recursive: true });
  }
  mkdirSync(join(app, 'node_modules/@kcorder'), { recursive: true });
  for (const name of ['agent', 'proto']) symlinkSync(`../../${name}`, join(app, 'node_modules/@kcorder', name));
  copyFileSync(join(repoDir, 'package.json'), join(app, 'package.json'));
}
