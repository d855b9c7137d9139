import { readdirSync, readFileSync, readlinkSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repoDir } from '../setup/cache.ts';
import { command } from '../setup/command.ts';
import { SetupFailure } from '../setup/failure.ts';
import { type DebianPackage, debianPackages } from '../setup/image-packages.ts';
import { unpackPackages } from '../setup/image-tree.ts';
import { ensureVolatility } from '../setup/volatility.ts';
import { type Component, programComponent } from './sbom.ts';

/** Folders that together hold a Python that can run. */
export interface PythonTrees {
  readonly system: string;
  readonly python: string;
}

export const requirementsPath = join(repoDir, 'collector/analysis/volatility/requirements.txt');

const wanted = ['python3', 'util-linux', 'xz-utils'];

/** What the collector runs: an analysis, and what stands around it. */
const programs = /^(python3(\.\d+)?|setpriv|unshare|xz)$/;

/** Extension modules that no plugin uses, with the libraries that only they load. */
const modulesLeftOut = /^(nis|_dbm|_curses|_curses_panel|readline)\./;
const packagesLeftOut = [
  ...['libnsl2', 'libtirpc3', 'libtirpc-common', 'libgssapi-krb5-2', 'libkrb5-3', 'libkrb5support0'],
  ...['libk5crypto3', 'libkeyutils1', 'libcom-err2', 'libdb5.3', 'libncursesw6', 'libtinfo6', 'libreadline8'],
  // What only maintainer scripts call, and what the programs of util-linux load that are not kept.
  ...['readline-common', 'debconf', 'dpkg', 'tar', 'libacl1', 'libmd0', 'libselinux1', 'libpcre2-8-0', 'libzstd1'],
  ...['libblkid1', 'libmount1', 'libsmartcols1', 'libaudit1', 'libaudit-common', 'libpam0g', 'libsystemd0'],
  ...['libudev1', 'libgcrypt20', 'libgpg-error0', 'liblz4-1', 'libcap2', 'util-linux-extra', 'media-types'],
];

/** Writes Debian's Python and the programs that the collector runs into the new folder `root`; `there` are packages that another layer has. */
export async function writePython(root: string, there: readonly string[]): Promise<DebianPackage[]> {
  const packages = await debianPackages(wanted, 'image-python', [...packagesLeftOut, ...there]);
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    await command('mkdir', ['-p', join(root, 'usr', name)]);
    await command('ln', ['-s', `usr/${name}`, join(root, name)]);
  }
  await unpackPackages(packages, root);
  for (const name of readdirSync(root))
    if (!['usr', 'var'].includes(name)) rmSync(join(root, name), { recursive: true });
  for (const folder of ['usr/bin', 'usr/sbin']) {
    for (const name of readdirSync(join(root, folder)))
      if (!programs.test(name)) rmSync(join(root, folder, name), { recursive: true });
  }
  for (const name of readdirSync(join(root, 'usr/lib')))
    if (!/^(x86_64-linux-gnu|python3(\.\d+)?)$/.test(name)) rmSync(join(root, 'usr/lib', name), { recursive: true });
  // The system's layer has these.
  for (const name of ['usr/lib64', 'usr/sbin']) rmdirSync(join(root, name));
  const modules = join(root, `usr/lib/python${pythonVersion(root)}/lib-dynload`);
  for (const name of readdirSync(modules)) if (modulesLeftOut.test(name)) rmSync(join(modules, name));
  return packages;
}

/** Of Debian's Python in a folder: `3.11`. */
export function pythonVersion(root: string): string {
  return readlinkSync(join(root, 'usr/bin/python3')).replace('python', '');
}

/** Writes Volatility into the new folder `root`, where this Python looks for packages: it needs no setting, and the analysis has a bare environment. */
export async function writeVolatility(trees: PythonTrees, root: string): Promise<Component[]> {
  const version = pythonVersion(trees.python);
  const path = `usr/local/lib/python${version}/dist-packages`;
  const python = await ensureVolatility();
  const args = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input', '--no-compile'];
  const kind = ['--only-binary=:all:', '--implementation', 'cp', '--python-version', version];
  const platforms = ['--platform', 'manylinux2014_x86_64', '--platform', 'manylinux_2_28_x86_64'];
  const pinned = [...platforms, '--require-hashes', '-r', requirementsPath];
  await command(python, [...args, ...kind, ...pinned, '--target', join(root, path)]).catch((cause: unknown) => {
    throw new SetupFailure(
      `cannot install what ${requirementsPath} lists into the collector's image`,
      'PyPI',
      'Check the network, then try again.',
      cause,
    );
  });
  removeCommands(join(root, path));
  await compilePython(trees, root, [path]);
  const pins = readFileSync(requirementsPath, 'utf8').matchAll(/^(\S+)==(\S+).*\n\s+--hash=sha256:([0-9a-f]{64})/gm);
  return [...pins].map(([, name = '', version = '', sha256]) => programComponent('pypi', name, version, sha256));
}

/** The collector calls the library; and the commands' first lines, whose digests the records hold, name the Python of who builds. */
function removeCommands(packages: string): void {
  rmSync(join(packages, 'bin'), { recursive: true, force: true });
  for (const name of readdirSync(packages).filter((folder) => folder.endsWith('.dist-info'))) {
    const path = join(packages, name, 'RECORD');
    const lines = readFileSync(path, 'utf8').split('\n');
    writeFileSync(path, lines.filter((line) => !/^(\.\.\/)*bin\//.test(line)).join('\n'));
  }
}

/**
 * Compiles what is in `folders` of `root` with the image's own Python, so that an analysis does not do it each time: its root is read-only.
 * Needs no rights: the program is run by its own loader.
 */
export async function compilePython(trees: PythonTrees, root: string, folders: readonly string[]): Promise<void> {
  const libraries = [trees.system, trees.python].map((tree) => join(tree, 'usr/lib/x86_64-linux-gnu'));
  const loader = join(libraries[0] ?? '', 'ld-linux-x86-64.so.2');
  const python = join(trees.python, 'usr/bin/python3');
  const compile = ['-s', '-S', '-m', 'compileall', '-q', '-j', '1', '--invalidation-mode', 'unchecked-hash'];
  const places = ['-s', root, '-p', '/', ...folders.map((folder) => join(root, folder))];
  await command(loader, ['--library-path', libraries.join(':'), python, ...compile, ...places], {
    // One seed, so that sets are written in one order.
    env: { PYTHONHOME: join(trees.python, 'usr'), PYTHONHASHSEED: '0', PYTHONDONTWRITEBYTECODE: '1' },
  });
}
