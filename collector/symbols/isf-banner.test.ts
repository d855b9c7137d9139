import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type IsfBytes, sha256Of, withBanner } from './isf-banner.ts';
import { makeIsf } from './testing/symbol-files.ts';

let home: string;
let path: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'kcorder-isf-banner-'));
  path = join(home, 'x.json');
});
afterEach(() => rm(home, { recursive: true, force: true }));

const [told, inImages] = ['Linux version 6 (b@h) (gcc) #1', 'Linux version 6 (b@h) (gcc) #1 (U 6)'];

async function textOf(isf: IsfBytes): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of isf.read()) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

// The padding moves the constant to the borders of the pieces that the file is read in.
test.each([0, 1000, (1 << 18) - 300, (1 << 18) - 350, (1 << 18) - 400, (1 << 18) - 450, 1 << 20])(
  'the banner is another and nothing else, with %i bytes before it',
  async (padding) => {
    const isf = makeIsf(told, padding);
    await writeFile(path, isf);
    const changed = await withBanner(path, isf.length, told, inImages);
    const text = await textOf(changed);
    expect(text === makeIsf(inImages, padding)).toBe(true);
    expect(changed.sizeBytes).toBe(text.length);
    expect(await sha256Of(changed)).toBe(createHash('sha256').update(text).digest('hex'));
  },
);

test.each([
  ['holds another banner', makeIsf('Linux version 7'), told, inImages],
  ['has the banner already', makeIsf(told), told, told],
  ['holds the banner only as a part of another', makeIsf(`${told} (U 7)`), told, inImages],
])('an ISF that %s stays as it is', async (_what, isf, from, to) => {
  await writeFile(path, isf);
  const same = await withBanner(path, isf.length, from, to);
  expect([await textOf(same), same.sizeBytes]).toEqual([isf, isf.length]);
});

test('a search that nobody waits for any more ends', async () => {
  await writeFile(path, makeIsf(told, 1 << 20));
  await expect(withBanner(path, 1 << 20, told, inImages, AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
});
