import {
  closeSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AppName, appVersion } from '../../tools/images/app.ts';
import { type Archive, filesBelow, unpackArchive } from '../../tools/images/archive.ts';
import {
  type BuiltImage,
  buildImage,
  dockerfilePath,
  ensureImages,
  imageNames,
  writeContext,
} from '../../tools/images/build.ts';
import { digestOf } from '../../tools/images/oci.ts';
import type { Component } from '../../tools/images/sbom.ts';
import { cacheDir, repoDir } from '../../tools/setup/cache.ts';
import { command } from '../../tools/setup/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'images-'));
let images: Record<AppName, BuiltImage>;
const archives = {} as Record<AppName, Archive>;

beforeAll(async () => {
  images = await ensureImages();
  for (const name of imageNames) archives[name] = await unpackArchive(images[name].path, join(folder, name));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(imageNames)('the image of the %s', (name) => {
  const root = join(folder, name, 'root');

  test('is a well-formed OCI archive whose parts are what their digests say', () => {
    const { image, manifest, config } = archives[name];
    expect(image.digest).toBe(images[name].digest);
    expect(image.annotations?.['io.containerd.image.name']).toBe(`localhost/kcorder-${name}:${appVersion}`);
    // The layers are not compressed, so each is its own content.
    expect(config.rootfs.diff_ids).toEqual(manifest.layers.map(({ digest }) => digest));
    expect(config.config.Labels['org.opencontainers.image.version']).toBe(appVersion);
  });

  test('belongs to root, has nothing setuid and nothing that others may write', () => {
    const wrong = filesBelow(root).filter((path) => {
      const { mode, uid, gid } = lstatSync(join(root, path));
      const isFolder = (mode & 0o170000) === 0o040000;
      const isLink = (mode & 0o170000) === 0o120000;
      const open = (mode & 0o022) !== 0 && !isLink && !(isFolder && ['tmp', 'var/tmp'].includes(path));
      const special = (mode & 0o6000) !== 0 || !(isFolder || isLink || (mode & 0o170000) === 0o100000);
      return open || special || uid !== process.getuid?.() || gid !== process.getgid?.();
    });
    expect(wrong).toEqual([]);
  });

  test('holds no tests, no caches and no sources of another part', () => {
    const paths = filesBelow(root);
    const ours = paths.filter((path) => path.startsWith('app/') && !path.includes('node_modules/'));
    expect(ours.filter((path) => /\.test\.ts$|\/(testing|fixtures)(\/|$)|\/test_\w+\.py$/.test(path))).toEqual([]);
    expect(paths.filter((path) => /\.(test|spec)\.[cm]?[jt]s$/.test(path))).toEqual([]);
    expect(paths.filter((path) => /^(root|var\/cache|var\/lib\/apt)\/|(^|\/)\.(npm|cache)(\/|$)/.test(path))).toEqual(
      [],
    );
    const parts = name === 'agent' ? ['agent', 'proto'] : ['collector', 'isf', 'proto'];
    expect(readdirSync(join(root, 'app')).sort()).toEqual(['LICENSE', 'NOTICE', ...parts, 'node_modules'].sort());
  });

  test('holds exactly the packages that its part needs in production', () => {
    const parts = name === 'agent' ? ['agent', 'proto'] : ['collector', 'proto'];
    expect(
      npmPackages(join(root, 'app'))
        .map(({ path }) => path)
        .sort(),
    ).toEqual(closure(parts));
  });

  test('has a bill of materials with everything that is in it', async () => {
    const text = readFileSync(join(root, 'usr/share/kcorder/sbom.cdx.json'), 'utf8');
    expect(text).toBe(readFileSync(images[name].sbomPath, 'utf8'));
    const sbom = JSON.parse(text) as { bomFormat: string; components: Component[] };
    expect(sbom.bomFormat).toBe('CycloneDX');
    const listed = new Map(sbom.components.map((component) => [component['bom-ref'], component]));
    expect(listed.size).toBe(sbom.components.length);
    const purls = new Set(sbom.components.map(({ purl }) => purl));
    for (const { name, version } of npmPackages(join(root, 'app')))
      expect(purls).toContain(`pkg:npm/${name.replace('@', '%40')}@${version}`);
    const debian = sbom.components.filter(({ purl }) => purl.startsWith('pkg:deb/'));
    expect(debian.map((each) => `${each.name} ${each.version}`).sort()).toEqual(debianPackages(root));
    for (const { hashes } of debian) expect(hashes?.[0]?.content).toMatch(/^[0-9a-f]{64}$/);
    for (const { name, version } of pythonPackages(root)) expect(purls).toContain(`pkg:pypi/${name}@${version}`);
    for (const program of ['node', 'avml']) {
      const path = join(root, 'usr/local/bin', program);
      const component = sbom.components.find(({ name }) => name === program);
      const { digest } = existsSync(path) ? await digestOf(path) : {};
      expect(component?.hashes?.[0]?.content).toBe(digest?.slice('sha256:'.length));
    }
  });
});

describe('both images', () => {
  test('have the layers of system and Node in common', () => {
    const [agent, collector] = imageNames.map((name) => archives[name].manifest.layers.map(({ digest }) => digest));
    expect(agent?.slice(0, 2)).toEqual(collector?.slice(0, 2));
  });

  test('are refused by the check of their digests when a byte of them has changed', async () => {
    const damaged = join(folder, 'damaged.tar');
    copyFileSync(images.agent.path, damaged);
    const file = openSync(damaged, 'r+');
    writeSync(file, 'x', lstatSync(damaged).size / 2);
    closeSync(file);
    await expect(unpackArchive(damaged, join(folder, 'damaged'))).rejects.toThrow(
      /blob sha256:\w+ of \d+ bytes is sha256:/,
    );
    rmSync(damaged);
  });

  test('come out of the context that Docker takes, too', async () => {
    const context = join(folder, 'context');
    await writeContext(context);
    await expect(writeContext(context)).rejects.toThrow(`${context} is not empty`);
    for (const name of imageNames) {
      const archive = join(folder, `${name}.tar`);
      const folderOf = (layer: string): string => join(context, layer);
      const { digest } = await buildImage(images[name].name, dockerfilePath(name), folderOf, archive);
      expect(digest).toBe(images[name].digest);
      rmSync(archive);
    }
    rmSync(join(context, 'avml'), { recursive: true });
    const without = buildImage('a:1', dockerfilePath('agent'), (layer) => join(context, layer), join(folder, 'a.tar'));
    await expect(without).rejects.toThrow('the context has no folder avml');
    rmSync(context, { recursive: true });
  });

  test('come out the same when all is made again, by a user with other habits', async () => {
    const cache = join(folder, 'cache');
    mkdirSync(cache);
    // What was downloaded or compiled stays; the layers are made anew.
    for (const made of readdirSync(cacheDir).filter((path) => /^(avml|debs|volatility)/.test(path)))
      symlinkSync(join(cacheDir, made), join(cache, made));
    const script = 'umask 077; exec "$@"';
    const build = [process.execPath, join(repoDir, 'tools/dev.ts'), 'images'];
    const printed = await command('sh', ['-c', script, 'sh', ...build], {
      env: { KCORDER_CACHE: cache, TZ: 'Asia/Tokyo' },
    });
    expect(printed.match(/sha256:[0-9a-f]{64}/g)).toEqual(imageNames.map((name) => images[name].digest));
  });
});

function npmPackages(app: string): { name: string; version: string; path: string }[] {
  const manifest = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+\/package\.json$/;
  const found = filesBelow(app).filter((path) => manifest.test(path));
  return found.map((path) => {
    const { name, version } = JSON.parse(readFileSync(join(app, path), 'utf8')) as { name: string; version: string };
    return { name, version, path: path.slice(0, -'/package.json'.length) };
  });
}

function debianPackages(root: string): string[] {
  const status = join(root, 'var/lib/dpkg/status.d');
  const field = (name: string, text: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(text)?.[1] ?? '';
  return readdirSync(status)
    .map((name) => readFileSync(join(status, name), 'utf8'))
    .map((text) => `${field('Package', text)} ${field('Version', text)}`)
    .sort();
}

function pythonPackages(root: string): { name: string; version: string }[] {
  return (
    filesBelow(join(root, 'usr'))
      .map((path) => /([^/]+)-([^/-]+)\.dist-info$/.exec(path))
      // The name of the folder has "_" where that of the package has "-".
      .flatMap((match) => (match ? [{ name: (match[1] ?? '').replaceAll('_', '-'), version: match[2] ?? '' }] : []))
  );
}

/** What the lock file says that these workspaces need without development, as Node would find it; a way of its own, not npm's. */
function closure(workspaces: readonly string[]): string[] {
  interface Entry {
    readonly link?: boolean;
    /** There for development; an optional peer of what is not. */
    readonly devOptional?: boolean;
    readonly resolved?: string;
    readonly dependencies?: Readonly<Record<string, string>>;
    readonly optionalDependencies?: Readonly<Record<string, string>>;
    readonly peerDependencies?: Readonly<Record<string, string>>;
  }
  const lock = JSON.parse(readFileSync(join(repoDir, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, Entry>;
  };
  const found = new Set<string>();
  const visit = (path: string): void => {
    const entry = lock.packages[path];
    if (entry === undefined || entry.devOptional === true || found.has(path)) return;
    found.add(path);
    if (entry.link === true) visit(entry.resolved ?? '');
    const { dependencies, optionalDependencies, peerDependencies } = entry;
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) {
      for (let at = path; ; at = relative('.', join(at, '..'))) {
        const candidate = join(at, 'node_modules', name);
        if (lock.packages[candidate]) visit(candidate);
        if (lock.packages[candidate] || at === '') break;
      }
    }
  };
  for (const workspace of workspaces) visit(workspace);
  return [...found]
    .filter((path) => path.includes('node_modules/') && lock.packages[path]?.link !== true)
    .filter((path) => existsSync(join(repoDir, path)))
    .sort();
}
