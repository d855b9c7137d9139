import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { unpackDebs } from './apt-download.ts';
import { ensureAvml } from './avml.ts';
import { repoDir } from './cache.ts';
import { type DebianPackage, debianPackages } from './image-packages.ts';

/** What Node needs of Debian, the programs of probes, and the name of the system for those who look for known holes. */
const systemPackages = ['base-files', 'busybox-static', 'libc6', 'libgcc-s1', 'libstdc++6'];
const systemPackagesLeftOut = ['mawk'];

/** Commands that the agent, the collector and their probes call. */
const busyboxCommands = ['date', 'mkfifo', 'sh', 'stat', 'test', 'true', 'umount'];

const systemFolders = ['dev', 'etc/kcorder/tls', 'proc', 'run/secrets', 'sys', 'tmp', 'var/lib', 'var/tmp'];

/** Writes the system that both images stand on into the new folder `root`: Debian's libraries and busybox, nothing that is run at an installation. */
export async function writeSystem(root: string): Promise<DebianPackage[]> {
  for (const path of ['usr/bin', 'usr/sbin', 'usr/lib', 'usr/lib64']) mkdirSync(join(root, path), { recursive: true });
  for (const path of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${path}`, join(root, path));
  const packages = await debianPackages(systemPackages, 'image-system', systemPackagesLeftOut);
  await unpackPackages(packages, root);
  for (const path of readdirSync(root)) {
    if (!['bin', 'etc', 'lib', 'lib64', 'sbin', 'usr', 'var'].includes(path))
      rmSync(join(root, path), { recursive: true });
  }
  for (const name of readdirSync(join(root, 'etc'))) {
    if (!['debian_version', 'os-release'].includes(name)) rmSync(join(root, 'etc', name), { recursive: true });
  }
  rmSync(join(root, 'usr/games'), { recursive: true, force: true });
  for (const path of systemFolders) mkdirSync(join(root, path), { recursive: true });
  symlinkSync('/run', join(root, 'var/run'));
  for (const name of busyboxCommands) symlinkSync('busybox', join(root, 'usr/bin', name));
  const people = { root: 0, kcorder: 65532, nobody: 65534 };
  const lines = (line: (name: string, id: number) => string): string =>
    Object.entries(people)
      .map(([name, id]) => `${line(name, id)}\n`)
      .join('');
  writeFileSync(
    join(root, 'etc/passwd'),
    lines((name, id) => `${name}:x:${id}:${id}::/:/usr/sbin/nologin`),
  );
  writeFileSync(
    join(root, 'etc/group'),
    lines((name, id) => `${name}:x:${id}:`),
  );
  writeFileSync(join(root, 'etc/nsswitch.conf'), 'passwd: files\ngroup: files\nhosts: files dns\n');
  return packages;
}

/**
 * Unpacks packages into `root` without what nobody reads in a container; their licences stay. What each package was is told in
 * var/lib/dpkg/status.d, where programs that look for known holes expect it of an image without dpkg.
 */
export async function unpackPackages(packages: readonly DebianPackage[], root: string): Promise<void> {
  await unpackDebs(
    packages.map(({ path }) => path),
    root,
  );
  const share = join(root, 'usr/share');
  for (const name of existsSync(share) ? readdirSync(share) : []) {
    if (name !== 'doc') rmSync(join(share, name), { recursive: true });
  }
  for (const name of existsSync(join(share, 'doc')) ? readdirSync(join(share, 'doc')) : []) {
    const copyright = join(share, 'doc', name, 'copyright');
    const text = existsSync(copyright) ? readFileSync(copyright) : undefined;
    rmSync(join(share, 'doc', name), { recursive: true });
    if (text === undefined) continue;
    mkdirSync(join(share, 'doc', name));
    writeFileSync(copyright, text);
  }
  for (const path of ['usr/include', 'usr/lib/x86_64-linux-gnu/gconv', 'usr/lib/x86_64-linux-gnu/audit', 'var'])
    rmSync(join(root, path), { recursive: true, force: true });
  const status = join(root, 'var/lib/dpkg/status.d');
  mkdirSync(status, { recursive: true });
  for (const { name, control } of packages) writeFileSync(join(status, name), control);
}

/** Writes the project's own Node into `root`. */
export function writeNode(root: string): { version: string; sha256: string } {
  mkdirSync(join(root, 'usr/local/bin'), { recursive: true });
  const node = realpathSync(join(repoDir, 'node_modules/node/bin/node'));
  copyFileSync(node, join(root, 'usr/local/bin/node'));
  return { version: process.versions.node, sha256: sha256Of(node) };
}

/** Writes AVML into `root`, with the digest that the agent checks before it runs it. */
export async function writeAvml(root: string): Promise<string> {
  mkdirSync(join(root, 'usr/local/bin'), { recursive: true });
  const avml = await ensureAvml();
  copyFileSync(avml, join(root, 'usr/local/bin/avml'));
  const sha256 = sha256Of(avml);
  writeFileSync(join(root, 'usr/local/bin/avml.sha256'), `${sha256}  avml\n`);
  return sha256;
}

function sha256Of(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
