import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeScratch } from '../../testing/files.ts';
import { noise } from '../../testing/lime-image.ts';
import { makeTinyDisk, mayMount } from '../../testing/tiny-disk.ts';
import { openFile } from '../file-source.ts';
import { openFrames } from './open-frames.ts';
import { NoRoom, packImage } from './pack.ts';
import { frameBytes } from './seek-table.ts';

const never = new AbortController().signal;

test('an image that is gone, one that is too large, and a run that is given up leave nothing behind', async () => {
  using scratch = makeScratch();
  const [from, to] = [join(scratch.dir, 'image.lime'), join(scratch.dir, 'image.lime.zst')];
  await expect(packImage(from, to, never)).rejects.toMatchObject({ code: 'evidence_missing' });
  writeFileSync(from, noise(1, 3 * frameBytes));
  await expect(packImage(from, to, never, { maxBytes: 2 * frameBytes })).rejects.toThrow(NoRoom);
  expect(existsSync(to)).toBe(false);
  const controller = new AbortController();
  const given = packImage(from, to, controller.signal, { onBytes: () => controller.abort(new Error('the end')) });
  await expect(given).rejects.toThrow('the end');
  expect(existsSync(to)).toBe(false);
});

test.skipIf(!mayMount)(
  'a full disk is told as no room, and the half of a file is removed (needs the right to mount)',
  async () => {
    using scratch = makeScratch();
    using disk = makeTinyDisk();
    const [from, to] = [join(scratch.dir, 'image.lime'), join(disk.dir, 'image.lime.zst')];
    writeFileSync(from, noise(1, 3 * frameBytes));
    await expect(packImage(from, to, never)).rejects.toThrow(NoRoom);
    expect(existsSync(to)).toBe(false);
  },
);

test('a packed file that lay there is replaced', async () => {
  using scratch = makeScratch();
  const [from, to] = [join(scratch.dir, 'image.lime'), join(scratch.dir, 'image.lime.zst')];
  writeFileSync(from, 'plain');
  writeFileSync(to, 'older and longer than anything that comes of five bytes, as a killed collector left it');
  chmodSync(to, 0o444);
  await packImage(from, to, never);
  await using source = await openFrames(await openFile(to, 'the packed image'), to);
  expect((await source.read(0, 5)).toString()).toBe('plain');
});
