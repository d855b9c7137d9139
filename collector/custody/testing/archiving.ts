import { readFileSync } from 'node:fs';
import { zstdDecompressSync } from 'node:zlib';
import { expect } from 'vitest';
import { sha256Of } from '../../evidence/check-manifest.ts';
import type { EvidenceStore } from '../../store/store.ts';
import type { ScriptedStore } from '../../store/testing/scripted-store.ts';
import { until } from '../../testing/files.ts';
import type { CustodyScene } from './custody-scene.ts';

/** Runs a keeper until a look gives something. */
export async function keepUntil(scene: CustodyScene, store: EvidenceStore, look: () => boolean): Promise<void> {
  const archiver = scene.archiver(store);
  archiver.start();
  await until(() => {
    archiver.wake();
    return look();
  });
  await archiver.close();
}

/** Whether a capture's image is in the store, and nothing beside it. */
export const isKept = (scene: CustodyScene, id: string) => (): boolean =>
  scene.storage.get(id)?.place.kind === 'store' && scene.queue.toTidy().length === 0;

/** What must hold of a capture that is kept in the end. */
export function expectKept(scene: CustodyScene, store: ScriptedStore, id: string): void {
  const packed = store.objects.get(`${id}/image.lime.zst`);
  const image = scene.images.get(id) as Buffer;
  expect(zstdDecompressSync(packed?.bytes ?? Buffer.alloc(0)).equals(image)).toBe(true);
  expect(packed?.metadata).toEqual({
    'kcorder-capture': id,
    'kcorder-node': 'n1',
    'kcorder-sha256': sha256Of(image),
    'kcorder-outcome': 'complete',
  });
  const manifest = readFileSync(scene.directory.manifestPath(id));
  expect(store.objects.get(`${id}/manifest.json`)?.bytes.equals(manifest)).toBe(true);
  expect(scene.storage.get(id)).toMatchObject({ manifestSha256: sha256Of(manifest), damage: '' });
  expect(scene.files(id)).toEqual(['manifest.json']);
  expect(scene.actions(id).filter((action) => action === 'stored')).toHaveLength(1);
  expect(scene.journal.audit.firstBroken()).toBeUndefined();
}
