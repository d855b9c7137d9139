import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { avmlVersion } from '../setup/avml.ts';
import { buildOnce } from '../setup/build-once.ts';
import { cachePath, repoDir } from '../setup/cache.ts';
import { fingerprint } from '../setup/fingerprint.ts';
import { writeAvml, writeNode, writeSystem } from '../setup/image-tree.ts';
import { pruneBeside } from '../setup/prune.ts';
import { type AppName, appFiles, appVersion, writeApp } from './app.ts';
import { settleModes } from './modes.ts';
import { compilePython, pythonVersion, requirementsPath, writePython, writeVolatility } from './python.ts';
import { type Component, debianComponent, makeSbom, programComponent } from './sbom.ts';

/** A folder that becomes one layer of an image, and what it brings. */
export interface Layer {
  /** Changes when any of its content may have changed. */
  readonly fingerprint: string;
  readonly folder: string;
  readonly components: readonly Component[];
}

/** Where something is mounted, so that a container's root can be read-only. */
const mountPoints: Readonly<Record<AppName, readonly string[]>> = {
  agent: ['etc/kcorder/trust', 'host/etc', 'host/var/log/containers', 'run/kcorder', 'run/secrets/kcorder'],
  collector: ['var/lib/kcorder'],
};

/** Files that decide what is in every layer. */
const builders = [
  ...['app', 'layers', 'modes', 'python', 'sbom'].map((name) => join(import.meta.dirname, `${name}.ts`)),
  ...['image-npm', 'image-packages', 'image-tree'].map((name) => join(repoDir, 'tools/setup', `${name}.ts`)),
];

/** All layers that the Dockerfiles may name, each made when it is not in the cache. */
export async function ensureLayers(): Promise<ReadonlyMap<string, Layer>> {
  const system = await ensureLayer('system', {}, async (root) =>
    (await writeSystem(root)).map((each) => debianComponent(each, releaseOf(root))),
  );
  const node = await ensureLayer('node', { texts: [process.version] }, async (root) => {
    const { version, sha256 } = writeNode(root);
    return [programComponent('generic', 'node', version, sha256)];
  });
  const avml = await ensureLayer('avml', { texts: [avmlVersion] }, async (root) => [
    programComponent('cargo', 'avml', avmlVersion, await writeAvml(root)),
  ]);
  const there = system.components.map(({ name }) => name);
  const python = await ensureLayer('python', { texts: [system.fingerprint] }, async (root) => {
    const packages = await writePython(root, there);
    await compilePython({ system: system.folder, python: root }, root, [
      'usr/lib/python3',
      `usr/lib/python${pythonVersion(root)}`,
    ]);
    return packages.map((each) => debianComponent(each, releaseOf(system.folder)));
  });
  const trees = { system: system.folder, python: python.folder };
  const volatility = await ensureLayer(
    'volatility',
    { texts: [python.fingerprint], paths: [requirementsPath] },
    async (root) => await writeVolatility(trees, root),
  );
  const app = async (name: AppName): Promise<Layer> =>
    await ensureLayer(
      name,
      { texts: appFiles(name), paths: appFiles(name).map((path) => join(repoDir, path)) },
      async (root) => {
        for (const path of mountPoints[name]) mkdirSync(join(root, path), { recursive: true });
        const components = await writeApp(name, join(root, 'app'));
        if (name === 'collector') await compilePython(trees, root, ['app/collector/analysis/volatility']);
        return components;
      },
    );
  const [agent, collector] = [await app('agent'), await app('collector')];
  const sbom = async (name: AppName, parts: readonly Layer[]): Promise<Layer> =>
    await ensureLayer(`${name}-sbom`, { texts: parts.map((part) => part.fingerprint) }, async (root) => {
      const folder = join(root, 'usr/share/kcorder');
      mkdirSync(folder, { recursive: true });
      const components = parts.flatMap((part) => part.components);
      writeFileSync(join(folder, 'sbom.cdx.json'), makeSbom(`kcorder-${name}`, appVersion, components));
      return [];
    });
  return new Map(
    Object.entries({
      ...{ system, node, avml, python, volatility, agent, collector },
      'agent-sbom': await sbom('agent', [system, node, avml, agent]),
      'collector-sbom': await sbom('collector', [system, node, python, volatility, collector]),
    }),
  );
}

/** `debian-12`, as the system says of itself. */
function releaseOf(root: string): string {
  const text = readFileSync(join(root, 'usr/lib/os-release'), 'utf8');
  const field = (name: string): string => new RegExp(`^${name}="?([^"\n]*)`, 'm').exec(text)?.[1] ?? '';
  return `${field('ID')}-${field('VERSION_ID')}`;
}

async function ensureLayer(
  name: string,
  inputs: { texts?: string[]; paths?: string[] },
  write: (root: string) => Promise<readonly Component[]>,
): Promise<Layer> {
  const print = fingerprint({ texts: inputs.texts ?? [], paths: [...builders, ...(inputs.paths ?? [])] });
  const made = await buildOnce(cachePath('images', 'layers', name, print), `layer ${name}`, async (temporaryPath) => {
    const root = join(temporaryPath, 'tree');
    mkdirSync(root, { recursive: true });
    const components = await write(root);
    settleModes(root);
    writeFileSync(join(temporaryPath, 'components.json'), JSON.stringify(components));
    pruneBeside(temporaryPath.replace(/\.tmp$/, ''));
  });
  const components = JSON.parse(readFileSync(join(made, 'components.json'), 'utf8')) as Component[];
  return { fingerprint: print, folder: join(made, 'tree'), components };
}
