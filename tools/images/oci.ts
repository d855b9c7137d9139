import { createHash } from 'node:crypto';
import {
  createReadStream,
  createWriteStream,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { command } from '../setup/command.ts';
import type { ImageRecipe } from './dockerfile.ts';

/** A blob of an OCI image as its documents point to it. */
export interface Descriptor {
  readonly mediaType: string;
  /** `sha256:` and 64 hex digits. */
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: { readonly architecture: string; readonly os: string };
}

/** An image to write. */
export interface ImagePlan {
  /** With registry and tag, as in `localhost/kcorder-agent:0.1.0`. */
  readonly name: string;
  readonly recipe: ImageRecipe;
  /** Where a layer's folder lies. */
  readonly folderOf: (layer: string) => string;
  /** Seconds since 1970, of everything in the image; see SOURCE_DATE_EPOCH of reproducible-builds.org. */
  readonly epochSeconds: number;
  readonly gzip: boolean;
}

const documents = 'application/vnd.oci.image';

/**
 * Writes an image as an OCI archive, the form that `ctr images import`, `skopeo` and `podman load` take: the same folders give the same bytes.
 * Returns the descriptor of its manifest.
 */
export async function writeOciArchive(plan: ImagePlan, archivePath: string): Promise<Descriptor> {
  const layout = `${archivePath}.layout`;
  rmSync(layout, { recursive: true, force: true });
  const blobs = join(layout, 'blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  const layers: Descriptor[] = [];
  const diffIds: string[] = [];
  for (const name of plan.recipe.layers) {
    const tar = join(layout, 'layer.tar');
    await writeTar(plan.folderOf(name), tar, plan.epochSeconds);
    diffIds.push((await digestOf(tar)).digest);
    layers.push(await addLayer(tar, blobs, plan.gzip));
  }
  const config = addDocument(blobs, `${documents}.config.v1+json`, configOf(plan, diffIds));
  const manifest = addDocument(blobs, `${documents}.manifest.v1+json`, {
    schemaVersion: 2,
    mediaType: `${documents}.manifest.v1+json`,
    config,
    layers,
  });
  const annotations = {
    'io.containerd.image.name': plan.name,
    'org.opencontainers.image.ref.name': plan.name.slice(plan.name.lastIndexOf(':') + 1),
  };
  const named = { ...manifest, platform: { architecture: 'amd64', os: 'linux' }, annotations };
  const index = { schemaVersion: 2, mediaType: `${documents}.index.v1+json`, manifests: [named] };
  writeFileSync(join(layout, 'index.json'), JSON.stringify(index));
  writeFileSync(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  await command('chmod', ['-R', 'u=rwX,go=rX', layout]);
  await writeTar(layout, archivePath, plan.epochSeconds);
  rmSync(layout, { recursive: true });
  return manifest;
}

function configOf({ recipe, epochSeconds }: ImagePlan, diffIds: string[]): object {
  const created = new Date(epochSeconds * 1000).toISOString().replace('.000', '');
  return {
    created,
    architecture: 'amd64',
    os: 'linux',
    config: {
      User: recipe.user,
      Env: Object.entries(recipe.env).map(([name, value]) => `${name}=${value}`),
      Entrypoint: recipe.entrypoint,
      WorkingDir: recipe.workingDir,
      Labels: recipe.labels,
    },
    rootfs: { type: 'layers', diff_ids: diffIds },
    history: recipe.layers.map((name) => ({ created, created_by: `COPY ${name}/ /` })),
  };
}

async function addLayer(tar: string, blobs: string, gzip: boolean): Promise<Descriptor> {
  const mediaType = `${documents}.layer.v1.tar`;
  if (!gzip) return await moveBlob(tar, blobs, mediaType);
  await pipeline(createReadStream(tar), createGzip({ level: 6 }), createWriteStream(`${tar}.gz`));
  rmSync(tar);
  return await moveBlob(`${tar}.gz`, blobs, `${mediaType}+gzip`);
}

async function moveBlob(path: string, blobs: string, mediaType: string): Promise<Descriptor> {
  const { digest, size } = await digestOf(path);
  renameSync(path, join(blobs, digest.slice('sha256:'.length)));
  return { mediaType, digest, size };
}

function addDocument(blobs: string, mediaType: string, content: object): Descriptor {
  const bytes = Buffer.from(JSON.stringify(content));
  const hex = createHash('sha256').update(bytes).digest('hex');
  writeFileSync(join(blobs, hex), bytes);
  return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
}

/** A tar archive of what is in `folder` that tells nothing of the machine it was made on: byte for byte as BuildKit would write it. */
async function writeTar(folder: string, path: string, epochSeconds: number): Promise<void> {
  const same = [
    '--sort=name',
    `--mtime=@${epochSeconds}`,
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '--hard-dereference',
  ];
  const form = ['--format=ustar', '--blocking-factor=1'];
  await command('tar', ['-c', '-f', path, ...same, ...form, '-C', folder, '--', ...readdirSync(folder).sort()]);
}

/** The digest of a file as OCI writes it, and its size in bytes. */
export async function digestOf(path: string): Promise<{ digest: string; size: number }> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return { digest: `sha256:${hash.digest('hex')}`, size: statSync(path).size };
}
