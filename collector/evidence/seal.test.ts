import { createHash } from 'node:crypto';
import { chmodSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Outcome } from '../capture/capture.ts';
import { makeScratch } from '../testing/files.ts';
import { limeImage } from '../testing/lime-image.ts';
import { at, end, partial, request, states } from '../testing/states.ts';
import { EvidenceDirectory } from './evidence-directory.ts';
import { type Sealed, type SealingFacts, seal, sealedBefore } from './seal.ts';

const image = limeImage(1, [5000, 70_000]);
const sha256 = createHash('sha256').update(image).digest('hex');

function facts(outcome: Outcome): SealingFacts {
  const state = { ...states.sealing, outcome, end: { ...end, bytes: image.length, sha256 } };
  return { collectorVersion: '0.1.0', request, state, containers: [], custody: [], sealedAt: at };
}

/** A directory in which a capture waits to be sealed. */
async function unsealed() {
  const scratch = makeScratch();
  const directory = new EvidenceDirectory(scratch.dir);
  const writer = await directory.openWriter('c-1', 0);
  await writer.append(image);
  await writer.sync();
  await writer.close();
  return { directory, path: directory.pathOf('c-1'), [Symbol.dispose]: () => scratch[Symbol.dispose]() };
}

/** Seals as a collector does that finds a capture in its sealing phase. */
async function sealAgain(directory: EvidenceDirectory, outcome: Outcome): Promise<Sealed> {
  const before = await sealedBefore(directory, 'c-1');
  if (before !== undefined) return before;
  await directory.unsealUnfinished('c-1');
  return await seal(directory, await directory.openWriter('c-1', image.length), facts(outcome));
}

const complete: Outcome = { kind: 'complete' };
const outcomes = [
  { outcome: complete, file: 'image.lime' },
  { outcome: partial, file: 'image.PARTIAL.lime' },
  { outcome: { kind: 'failed', reason: 'integrity_conflict', detail: 'no' } as const, file: 'image.PARTIAL.lime' },
  { outcome: { kind: 'canceled', by: 'operator/alice' } as const, file: 'image.PARTIAL.lime' },
];

test.each(outcomes)(
  'an image that is $outcome.kind is sealed as $file, read-only, with its manifest',
  async ({ outcome, file }) => {
    using waiting = await unsealed();
    const sealed = await sealAgain(waiting.directory, outcome);
    expect(sealed).toEqual({ outcome, evidence: { bytes: image.length, sha256, file } });
    expect(readdirSync(waiting.path).sort()).toEqual([file, 'manifest.json'].sort());
    for (const name of readdirSync(waiting.path)) expect(statSync(join(waiting.path, name)).mode & 0o777).toBe(0o400);
    expect(readFileSync(join(waiting.path, file)).equals(image)).toBe(true);
  },
);

/** What a crash can leave, in the order in which sealing goes. */
const crashes: { sentence: string; leave: (path: string, file: string) => void }[] = [
  { sentence: 'before anything', leave: () => undefined },
  { sentence: 'when the image was read-only', leave: (path) => chmodSync(join(path, 'image.part'), 0o400) },
  {
    sentence: 'between the two renames',
    leave: (path, file) => {
      chmodSync(join(path, 'image.part'), 0o400);
      renameSync(join(path, 'image.part'), join(path, file));
    },
  },
  {
    sentence: 'in the middle of writing the manifest',
    leave: (path, file) => {
      renameSync(join(path, 'image.part'), join(path, file));
      writeFileSync(join(path, 'manifest.json.part'), '{"acquisition":{"cl', { mode: 0o400 });
    },
  },
];

test.each(outcomes.flatMap(({ outcome, file }) => crashes.map((crash) => ({ ...crash, outcome, file }))))(
  'a sealing that was cut short $sentence is done again: $outcome.kind',
  async ({ leave, outcome, file }) => {
    using waiting = await unsealed();
    leave(waiting.path, file);
    await waiting.directory.unsealUnfinished('c-1');
    expect(statSync(join(waiting.path, 'image.part')).mode & 0o777).toBe(0o600);
    expect(await sealAgain(waiting.directory, outcome)).toMatchObject({ outcome, evidence: { sha256 } });
    expect(readdirSync(waiting.path).sort()).toEqual([file, 'manifest.json'].sort());
    expect(readFileSync(join(waiting.path, file)).equals(image)).toBe(true);
  },
);

test('a sealing whose manifest was written is taken as it is, and the manifest stays byte for byte', async () => {
  using waiting = await unsealed();
  const first = await sealAgain(waiting.directory, complete);
  const manifest = await waiting.directory.manifest('c-1');
  expect(await sealAgain(waiting.directory, partial)).toEqual(first);
  expect((await waiting.directory.manifest('c-1')).equals(manifest)).toBe(true);
});

test.each([
  {
    sentence: 'another SHA-256 than the agent counted',
    agent: { sha256: 'ab' },
    outcome: { kind: 'failed', reason: 'integrity_conflict' },
  },
  { sentence: 'no word of the agent', agent: undefined, outcome: { kind: 'failed', reason: 'integrity_conflict' } },
])('an image with $sentence is never sealed as complete', async ({ agent, outcome }) => {
  using waiting = await unsealed();
  const { state, ...rest } = facts(complete);
  const claimed = agent === undefined ? undefined : { ...end, ...agent };
  const writer = await waiting.directory.openWriter('c-1', image.length);
  expect(await seal(waiting.directory, writer, { ...rest, state: { ...state, end: claimed } })).toMatchObject({
    outcome,
  });
  expect(readdirSync(waiting.path)).toContain('image.PARTIAL.lime');
});

test('without a manifest there is no evidence, and the error names where it should lie', async () => {
  using waiting = await unsealed();
  await sealAgain(waiting.directory, complete);
  rmSync(join(waiting.path, 'manifest.json'));
  await expect(waiting.directory.manifest('c-1')).rejects.toMatchObject({
    code: 'evidence_missing',
    message: expect.stringContaining(join(waiting.path, 'manifest.json')),
  });
});

test('what an acquisition without a durable byte left is removed', async () => {
  using waiting = await unsealed();
  await waiting.directory.discard('c-1');
  await waiting.directory.discard('c-1');
  expect(readdirSync(join(waiting.path, '..'))).toEqual([]);
});
