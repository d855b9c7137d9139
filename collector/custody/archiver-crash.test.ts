import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { LocalStore } from '../store/local-store.ts';
import type { EvidenceStore } from '../store/store.ts';
import { ScriptedStore } from '../store/testing/scripted-store.ts';
import { until } from '../testing/files.ts';
import { Images } from './images.ts';
import { expectKept, isKept, keepUntil } from './testing/archiving.ts';
import { CustodyScene } from './testing/custody-scene.ts';

/** A collector that is killed at one of its steps: from there on nothing that it does has an effect. */
class Cut {
  readonly names: string[] = [];
  readonly #at: number;
  dead = false;

  constructor(at: number) {
    this.#at = at;
  }

  readonly here = (name: string): void => {
    if (!this.dead) this.names.push(name);
    this.dead ||= this.names.length === this.#at;
    if (this.dead) throw new Error(`killed ${this.names.at(-1)}`);
  };

  /** The object, with a step before and after each call. */
  around<T extends object>(target: T, what: string, mutating: readonly string[]): T {
    return new Proxy(target, {
      get: (_, key) => {
        const value: unknown = Reflect.get(target, key);
        if (typeof value !== 'function' || !mutating.includes(String(key)))
          return typeof value === 'function' ? value.bind(target) : value;
        return (...values: unknown[]) => {
          this.here(`before ${what}.${String(key)}`);
          const result: unknown = value.apply(target, values);
          if (result instanceof Promise)
            return result.then((settled: unknown) => {
              this.here(`after ${what}.${String(key)}`);
              return settled;
            });
          this.here(`after ${what}.${String(key)}`);
          return result;
        };
      },
    });
  }
}

/** Keeps c-1 until the cut. False when there are fewer steps than that. */
async function keepToCut(scene: CustodyScene, store: EvidenceStore, at: number): Promise<Cut> {
  const cut = new Cut(at);
  const images = new Images(scene.directory, scene.storage, store);
  const archiver = scene.archiver(cut.around(store, 'store', ['put', 'find']), {
    record: cut.around(scene.storage, 'journal', ['noteStored', 'noteTidied', 'noteLastError', 'noteDamage']),
    directory: cut.around(scene.directory, 'directory', [
      'manifest',
      'removeDrafts',
      'removeImage',
      'freeBytes',
      'setAside',
    ]),
    images: cut.around(images, 'images', ['tryRemove']),
  });
  archiver.start();
  await until(() => cut.dead || isKept(scene, 'c-1')());
  await archiver.close();
  return cut;
}

const killed = ['store.put', 'journal.noteStored', 'images.tryRemove', 'directory.removeImage', 'journal.noteTidied'];

test.each(['gcs', 'local'] as const)(
  'a keeper that is killed before or after any of its steps leaves the image somewhere, and the next one finishes: %s',
  async (kind) => {
    const steps: string[] = [];
    for (let at = 1; ; at += 1) {
      using scene = new CustodyScene();
      const remote = new ScriptedStore();
      const store = kind === 'gcs' ? remote : new LocalStore(join(scene.dir, 'evidence'));
      const packedPath = join(scene.directory.pathOf('c-1'), 'image.lime.zst');
      const packed = () =>
        kind === 'gcs'
          ? remote.objects.get('c-1/image.lime.zst')?.bytes
          : existsSync(packedPath)
            ? readFileSync(packedPath)
            : undefined;
      await scene.seal('c-1');
      const cut = await keepToCut(scene, store, at);
      if (!cut.dead) break;
      steps.push(cut.names.at(-1) ?? '');
      const image = scene.images.get('c-1') as Buffer;
      const isPlain = scene.plain('c-1')?.equals(image) ?? false;
      const stored = packed();
      expect(isPlain || (stored !== undefined && zstdDecompressSync(stored).equals(image)), cut.names.at(-1)).toBe(
        true,
      );
      const draft = scene.directory.draftPath('c-1', 'image.lime.zst');
      // What a killed process leaves in the middle of packing.
      if (scene.storage.get('c-1')?.place.kind === 'spool' && !existsSync(draft)) writeFileSync(draft, 'half a frame');
      scene.told.length = 0;
      await keepUntil(scene, store, isKept(scene, 'c-1'));
      if (kind === 'gcs') expectKept(scene, remote, 'c-1');
      else {
        expect(zstdDecompressSync(packed() as Buffer).equals(image)).toBe(true);
        expect(scene.files('c-1')).toEqual(['image.lime.zst', 'manifest.json']);
        expect(scene.actions('c-1').filter((action) => action === 'stored')).toHaveLength(1);
      }
      expect(scene.told.filter((told) => !told.startsWith('stored'))).toEqual([]);
    }
    for (const step of killed) for (const side of ['before', 'after']) expect(steps).toContain(`${side} ${step}`);
  },
);
