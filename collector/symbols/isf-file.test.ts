import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { inspectIsf } from './isf-file.ts';
import { makeIsf } from './testing/symbol-files.ts';

const signal = new AbortController().signal;
const banner = 'Linux version 6.1.0-56-cloud-amd64 #1 SMP';
const xz = (text: string) => execFileSync('xz', ['--stdout'], { input: text, maxBuffer: 1 << 26 });
const packings: [string, (text: string) => Buffer][] = [
  ['.json', (text) => Buffer.from(text)],
  ['.json.gz', (text) => gzipSync(text)],
  ['.json.xz', xz],
];

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kcorder-isf-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function put(name: string, bytes: Buffer): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, bytes);
  return path;
}

describe.each(packings)('an ISF in %s', (ending, pack) => {
  test('is read to its banner, and expanded into a copy whose hash is told', async () => {
    const text = makeIsf(banner, 300_000);
    const sha256 = createHash('sha256').update(text).digest('hex');
    const path = await put(`x${ending}`, pack(text));
    const copyPath = join(directory, 'copy');
    const isf = { kind: 'isf', banner, sha256, sizeBytes: text.length };
    expect(await inspectIsf(path, signal, { copyPath })).toEqual(isf);
    expect(await readFile(copyPath, 'utf8')).toBe(text);
    expect(await inspectIsf(path, signal)).toEqual(isf);
  });

  test('that grows past the limit is refused before its end', async () => {
    const path = await put(`bomb${ending}`, pack(makeIsf(banner, 5_000_000)));
    const state = await inspectIsf(path, signal, { limitBytes: 1_000_000 });
    expect(state).toEqual({ kind: 'unusable', problem: expect.stringContaining('larger than 1000000 bytes') });
  });

  test('that is cut is refused', async () => {
    const bytes = pack(makeIsf(banner, 100));
    const state = await inspectIsf(await put(`cut${ending}`, bytes.subarray(0, bytes.length - 40)), signal);
    expect(state).toMatchObject({ kind: 'unusable' });
  });

  test('that is rubbish is refused', async () => {
    const state = await inspectIsf(await put(`rubbish${ending}`, Buffer.alloc(100_000, 0xa5)), signal);
    expect(state).toMatchObject({ kind: 'unusable' });
  });

  test('that is of no kernel, or has no types, is refused', async () => {
    const none = pack(JSON.stringify({ user_types: { a: {} }, symbols: { b: {} } }));
    expect(await inspectIsf(await put(`none${ending}`, none), signal)).toMatchObject({
      problem: expect.stringContaining('which kernel'),
    });
    const bare = pack(JSON.stringify({ user_types: {}, symbols: { b: {} } }));
    expect(await inspectIsf(await put(`bare${ending}`, bare), signal)).toMatchObject({
      problem: expect.stringContaining('0 types'),
    });
  });

  test('ends with the reason of an abort', async () => {
    const path = await put(`x${ending}`, pack(makeIsf(banner)));
    const reason = new Error('enough');
    await expect(inspectIsf(path, AbortSignal.abort(reason))).rejects.toThrow();
  });
});
