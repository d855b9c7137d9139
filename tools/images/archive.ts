import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { command } from '../setup/command.ts';
import { type Descriptor, digestOf } from './oci.ts';

interface Index {
  readonly manifests: readonly Descriptor[];
}

interface Manifest {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

interface Config {
  readonly config: {
    readonly User: string;
    readonly Env: readonly string[];
    readonly Entrypoint: readonly [string, ...string[]];
    readonly Labels: Readonly<Record<string, string>>;
  };
  readonly rootfs: { readonly diff_ids: readonly string[] };
}

/** An archive that was read, each blob of which is what the documents say. */
export interface Archive {
  readonly image: Descriptor;
  readonly manifest: Manifest;
  readonly config: Config;
  /** Of its layers, one upon the other. */
  readonly root: string;
}

/** Unpacks an OCI archive into the new folder `folder`. Throws when a blob is missing, is not what its digest says, or is none that the index leads to. */
export async function unpackArchive(path: string, folder: string): Promise<Archive> {
  const [layout, root] = [join(folder, 'layout'), join(folder, 'root')];
  for (const each of [layout, root]) mkdirSync(each, { recursive: true });
  await command('tar', ['-x', '-f', path, '-C', layout]);
  const unread = new Set(readdirSync(join(layout, 'blobs/sha256')));
  const blob = async ({ digest, size }: Descriptor): Promise<string> => {
    const blobPath = join(layout, 'blobs', digest.replace(':', '/'));
    const found = await digestOf(blobPath);
    if (found.digest !== digest || found.size !== size)
      throw new Error(`${path}: blob ${digest} of ${size} bytes is ${found.digest} of ${found.size} bytes`);
    unread.delete(digest.slice('sha256:'.length));
    return blobPath;
  };
  const read = (file: string): unknown => JSON.parse(readFileSync(file, 'utf8'));
  const { manifests } = read(join(layout, 'index.json')) as Index;
  const [image] = manifests;
  if (image === undefined || manifests.length !== 1) throw new Error(`${path} holds ${manifests.length} images`);
  const manifest = read(await blob(image)) as Manifest;
  const config = read(await blob(manifest.config)) as Config;
  for (const layer of manifest.layers)
    await command('tar', ['-x', '-p', '--keep-directory-symlink', '-f', await blob(layer), '-C', root]);
  if (unread.size > 0) throw new Error(`${path}: nothing leads to the blobs ${[...unread].join(', ')}`);
  return { image, manifest, config, root };
}

/** Every path below a folder, sorted, links not followed. */
export function filesBelow(root: string): string[] {
  const found: string[] = [];
  const look = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = join(folder, entry.name);
      found.push(path);
      if (entry.isDirectory()) look(path);
    }
  };
  look('');
  return found.sort();
}
