import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildOnce } from '../setup/build-once.ts';
import { cachePath, repoDir } from '../setup/cache.ts';
import { command } from '../setup/command.ts';
import { fingerprint } from '../setup/fingerprint.ts';
import { pruneBeside } from '../setup/prune.ts';
import { type AppName, appVersion } from './app.ts';
import { readDockerfile } from './dockerfile.ts';
import { ensureLayers, type Layer } from './layers.ts';
import { type Descriptor, writeOciArchive } from './oci.ts';

/** An image that was built. */
export interface BuiltImage {
  /** `localhost/kcorder-agent:0.1.0`. */
  readonly name: string;
  /** Of the OCI archive. */
  readonly path: string;
  /** CycloneDX JSON, the same as in the image. */
  readonly sbomPath: string;
  /** `sha256:…`, of the manifest. */
  readonly digest: string;
}

export interface BuildOptions {
  /** Compress the layers: for a registry, not for a machine of one's own. */
  readonly gzip?: boolean;
}

export const imageNames = ['agent', 'collector'] as const satisfies AppName[];

/** Both images, each built when it is not in the cache. */
export async function ensureImages(options: BuildOptions = {}): Promise<Record<AppName, BuiltImage>> {
  const layers = await ensureLayers();
  return {
    agent: await ensureImage('agent', layers, options),
    collector: await ensureImage('collector', layers, options),
  };
}

/** The Dockerfile of an image, which says everything about it but the content of its layers. */
export function dockerfilePath(name: AppName): string {
  return join(repoDir, 'images', name, 'Dockerfile');
}

/** Builds an image from a Dockerfile and the folders of its context. Returns the descriptor of its manifest. */
export async function buildImage(
  name: string,
  dockerfile: string,
  folderOf: (layer: string) => string | undefined,
  archivePath: string,
  options: BuildOptions = {},
): Promise<Descriptor> {
  const recipe = readDockerfile(dockerfile);
  const folders = new Map<string, string>();
  for (const layer of recipe.layers) {
    const folder = folderOf(layer);
    if (folder === undefined || !existsSync(folder))
      throw new Error(`${dockerfile}: the context has no folder ${layer}`);
    folders.set(layer, folder);
  }
  return await writeOciArchive(
    {
      name,
      recipe,
      folderOf: (layer) => folders.get(layer) ?? '',
      epochSeconds: epochSeconds(),
      gzip: options.gzip ?? false,
    },
    archivePath,
  );
}

/** Writes the context of both Dockerfiles into the new or empty folder `path`, for a build by Docker. */
export async function writeContext(path: string): Promise<void> {
  if (existsSync(path) && readdirSync(path).length > 0)
    throw new Error(`${path} is not empty: name a folder that is, or that does not exist`);
  mkdirSync(path, { recursive: true });
  // Not by cpSync: it takes a folder's mode for its own.
  for (const [name, layer] of await ensureLayers()) await command('cp', ['-a', layer.folder, join(path, name)]);
}

async function ensureImage(
  name: AppName,
  layers: ReadonlyMap<string, Layer>,
  options: BuildOptions,
): Promise<BuiltImage> {
  const image = `kcorder-${name}`;
  // Below localhost, where nobody pulls from: no image is published yet.
  const reference = `localhost/${image}:${appVersion}`;
  const dockerfile = dockerfilePath(name);
  const print = fingerprint({
    texts: [
      ...readDockerfile(dockerfile).layers.map((layer) => layers.get(layer)?.fingerprint ?? ''),
      ...[appVersion, String(options.gzip ?? false), String(epochSeconds())],
    ],
    paths: [dockerfile, ...['build.ts', 'dockerfile.ts', 'oci.ts'].map((file) => join(import.meta.dirname, file))],
  });
  const folder = await buildOnce(cachePath('images', name, print), `image ${image}`, async (temporaryPath) => {
    mkdirSync(temporaryPath);
    const folderOf = (layer: string): string | undefined => layers.get(layer)?.folder;
    const archivePath = join(temporaryPath, `${image}.tar`);
    const { digest } = await buildImage(reference, dockerfile, folderOf, archivePath, options);
    const sbom = join(folderOf(`${name}-sbom`) ?? '', 'usr/share/kcorder/sbom.cdx.json');
    cpSync(sbom, join(temporaryPath, `${image}.sbom.cdx.json`));
    writeFileSync(join(temporaryPath, 'digest'), digest);
    pruneBeside(temporaryPath.replace(/\.tmp$/, ''));
  });
  return {
    name: reference,
    path: join(folder, `${image}.tar`),
    sbomPath: join(folder, `${image}.sbom.cdx.json`),
    digest: readFileSync(join(folder, 'digest'), 'utf8'),
  };
}

/** SOURCE_DATE_EPOCH, or 0. */
function epochSeconds(): number {
  const given = process.env.SOURCE_DATE_EPOCH;
  if (given === undefined || given === '') return 0;
  if (!/^\d{1,10}$/.test(given)) throw new Error(`SOURCE_DATE_EPOCH="${given}" is not a number of seconds since 1970`);
  return Number(given);
}
