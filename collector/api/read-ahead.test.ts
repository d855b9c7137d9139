import { Writable } from 'node:stream';
import { create } from '@bufbuild/protobuf';
import { pump } from '@kcorder/proto/bridge/stream.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { DownloadEvidenceResponseSchema } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { expect, test } from 'vitest';
import { until } from '../testing/files.ts';
import { ByteBudget } from './door/byte-budget.ts';
import { doorLimits } from './door/limits.ts';
import { aheadLimits, type DownloadDeps, downloadEvidence } from './download-evidence.ts';

const imageBytes = 24 << 20;
const [small, large] = [256 << 10, 4 << 20];

/** Downloads of one image whose callers take nothing until they are told to, and what was read for each. */
class Downloads {
  readonly ahead = new ByteBudget(aheadLimits.most, aheadLimits.mostOfOne);
  readonly all: Download[] = [];

  start(actor: string): Download {
    const download = new Download(actor, this.ahead);
    this.all.push(download);
    return download;
  }

  /** Once no download goes on any more. */
  async stuck(): Promise<void> {
    for (const download of this.all) await download.stuck();
  }

  /** What is held of the image in all. */
  get heldBytes(): number {
    return this.all.reduce((sum, one) => sum + one.heldBytes, 0);
  }
}

class Download {
  readonly reads: number[] = [];
  sentBytes = 0;
  readonly #ending = new AbortController();
  readonly #unsent: (() => void)[] = [];
  readonly #sink = new Writable({
    objectMode: true,
    write: ({ data }: { data: Uint8Array }, _encoding, sent) => {
      this.#unsent.push(() => {
        this.sentBytes += data.length;
        sent();
      });
    },
  });
  readonly ended: Promise<void>;

  constructor(actor: string, ahead: ByteBudget) {
    const state = { phase: 'done', outcome: { kind: 'complete' }, evidence: { bytes: imageBytes, sha256: '' } };
    const image = {
      sizeBytes: imageBytes,
      read: async (_offset: number, length: number) => {
        this.reads.push(length);
        return Buffer.alloc(length);
      },
      [Symbol.asyncDispose]: async () => undefined,
    };
    const deps = {
      journal: { get: () => ({ state }), recordReading: () => undefined },
      evidence: { manifest: async () => Buffer.alloc(0) },
      images: { checkKept: () => undefined, open: async () => image },
      ahead,
    } as unknown as DownloadDeps;
    const { signal } = this.#ending;
    const parts = downloadEvidence(deps, { captureId: 'c-1', offset: 0, actor, payer: actor, signal });
    async function* messages() {
      for await (const part of parts) yield create(DownloadEvidenceResponseSchema, part);
    }
    this.ended = pump(messages(), this.#sink, signal);
    this.ended.catch(() => undefined);
  }

  get heldBytes(): number {
    return this.reads.reduce((sum, bytes) => sum + bytes, 0) - this.sentBytes;
  }

  /** Once it waits for its caller. */
  async stuck(): Promise<void> {
    await until(() => this.#sink.writableLength === 2);
  }

  /** Its caller takes so many messages. */
  async take(messages: number): Promise<void> {
    for (let i = 0; i < messages; i += 1) {
      await this.stuck();
      this.#unsent.shift()?.();
    }
    await this.stuck();
  }

  async end(): Promise<void> {
    this.#ending.abort(new Fault('canceled', 'the caller went away'));
    await expect(this.ended).rejects.toThrow();
  }
}

test('64 downloads of somebody who takes nothing: two of them read ahead, the others hold what is being sent', async () => {
  const downloads = new Downloads();
  for (let i = 0; i < doorLimits.callsOfIdentity; i += 1) downloads.start('user/mallory');
  await downloads.stuck();
  expect(downloads.heldBytes).toBeLessThanOrEqual(aheadLimits.mostOfOne + 62 * 2 * small);
  expect(downloads.all.filter(({ reads }) => reads.includes(large))).toHaveLength(2);
  // Nor with some taken.
  for (const download of downloads.all) await download.take(2);
  expect(downloads.heldBytes).toBeLessThanOrEqual(aheadLimits.mostOfOne + 62 * 2 * small);
});

test('somebody else still reads ahead, until there are six downloads that do', async () => {
  const downloads = new Downloads();
  for (let who = 0; who < 10; who += 1) for (let i = 0; i < 4; i += 1) downloads.start(`user/${who}`);
  await downloads.stuck();
  expect(downloads.all.filter(({ reads }) => reads.includes(large))).toHaveLength(6);
  expect(downloads.heldBytes).toBeLessThanOrEqual(aheadLimits.most + 34 * 2 * small);
});

test('a download reads ahead as soon as there is room for it, and comes to its end', async () => {
  const downloads = new Downloads();
  const [first, , third] = [1, 2, 3].map(() => downloads.start('user/alice'));
  await downloads.stuck();
  await third?.take(10);
  expect(new Set(third?.reads)).toEqual(new Set([small]));
  await first?.end();
  await third?.take(2);
  expect(third?.reads.at(-1)).toBe(large);
  const messages = imageBytes / small + 1;
  await third?.take(messages - 12 - 2);
  expect(third?.reads.reduce((sum, bytes) => sum + bytes, 0)).toBe(imageBytes);
  expect(downloads.ahead.used).toBe(aheadLimits.mostOfOne);
});

test('what downloads had for reading ahead is there again when they have ended', async () => {
  const downloads = new Downloads();
  for (let i = 0; i < 3; i += 1) downloads.start('user/alice');
  await downloads.stuck();
  for (const download of downloads.all) await download.end();
  await until(() => downloads.ahead.used === 0);
});
