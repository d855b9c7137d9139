import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { SendKernelTypesRequestSchema } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type ReceivedTypes, TypesTransfers } from './kernel-types.ts';

const node = { name: 'n1', uid: 'uid-1' };
const never = new AbortController().signal;
const sha256 = (...parts: (string | Buffer)[]) =>
  parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();
const digestOf = (btf: string, kallsyms: string) => sha256(sha256(btf), sha256(kallsyms)).toString('hex');

type Piece = { btf: string | Buffer } | { kallsyms: string | Buffer } | { refusal: string } | { open: string };

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'kcorder-types-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

async function* stream(pieces: readonly Piece[]) {
  for (const piece of pieces) {
    const [name, value] = Object.entries(piece)[0] as [string, string | Buffer];
    const message =
      name === 'open'
        ? { case: 'open' as const, value: { transferId: String(value) } }
        : name === 'refusal'
          ? { case: 'refusal' as const, value: { message: String(value) } }
          : { case: name as 'btf' | 'kallsyms', value: Buffer.from(value as string) };
    yield create(SendKernelTypesRequestSchema, { message });
  }
}

/** One ordered transfer: what the collector received, and what the sender was told. */
async function transfer(pieces: readonly Piece[], digest = digestOf('types', 'symbols'), sender = node) {
  const transfers = new TypesTransfers();
  let sent: Promise<unknown> = Promise.resolve();
  const order = (transferId: string) => {
    const serve = async () => {
      for await (const _ of transfers.serve(stream([{ open: transferId }, ...pieces]), sender, never));
    };
    sent = serve().catch((error: unknown) => error);
  };
  const give = new AbortController();
  const received = transfers.receive({ uid: node.uid, digest }, join(home, 'node'), order, give.signal);
  const failed = await received.then(
    () => undefined,
    (error: unknown) => error,
  );
  return { received: failed === undefined ? await received : undefined, failed, told: await sent };
}

test('what was ordered lies in two files with the digest that was told, whatever the order of its pieces', async () => {
  const { received, told } = await transfer([{ btf: 'ty' }, { kallsyms: 'sym' }, { btf: 'pes' }, { kallsyms: 'bols' }]);
  expect(told).toBeUndefined();
  const { btfPath, kallsymsPath } = received as ReceivedTypes;
  expect([await readFile(btfPath, 'utf8'), await readFile(kallsymsPath, 'utf8')]).toEqual(['types', 'symbols']);
});

describe('both sides are told when', () => {
  test.each<[string, readonly Piece[], string, RegExp]>([
    [
      'it is not what was told',
      [{ btf: 'types' }, { kallsyms: 'symbolz' }],
      'checksum_mismatch',
      /it changed, or it lies/,
    ],
    ['it ends early', [{ btf: 'types' }], 'checksum_mismatch', /digest/],
    ['the node cannot read it', [{ refusal: 'the node cannot read it: EACCES' }], 'unavailable', /EACCES/],
    ['a piece is none', [{ open: 'x' }], 'invalid_argument', /bytes/],
    [
      'it is too much',
      Array.from({ length: 65 }, () => ({ btf: Buffer.alloc(1 << 20) })),
      'ceiling_exceeded',
      /67108864/,
    ],
  ])('%s', async (_, pieces, code, message) => {
    const { failed, told } = await transfer(pieces);
    expect(failed).toMatchObject({ code, message: expect.stringMatching(message) });
    expect(told).toBe(failed);
  });
});

test('nobody sends what was not ordered from him, and nothing twice', async () => {
  const transfers = new TypesTransfers();
  const send = async (transferId: string, sender = node) => {
    for await (const _ of transfers.serve(
      stream([{ open: transferId }, { btf: 'types' }, { kallsyms: 'symbols' }]),
      sender,
      never,
    ));
  };
  await expect(send('made-up')).rejects.toMatchObject({ code: 'not_ordered' });
  let ordered = '';
  const target = { uid: node.uid, digest: digestOf('types', 'symbols') };
  const received = transfers.receive(target, join(home, 'node'), (id) => (ordered = id), never);
  while (ordered === '') await new Promise((resolve) => setTimeout(resolve, 1));
  await expect(send(ordered, { name: 'n2', uid: 'uid-2' })).rejects.toMatchObject({ code: 'not_ordered' });
  await send(ordered);
  await received;
  await expect(send(ordered)).rejects.toMatchObject({ code: 'not_ordered' });
});

test('who gives up gets his own reason', async () => {
  const transfers = new TypesTransfers();
  const controller = new AbortController();
  const received = transfers.receive(
    { uid: 'uid-1', digest: '' },
    join(home, 'node'),
    () => controller.abort('enough'),
    controller.signal,
  );
  await expect(received).rejects.toBe('enough');
});

test('who gives up while the directory is made breaks nothing else, and nothing is ordered for him', async () => {
  const strays: unknown[] = [];
  const stray = (reason: unknown) => strays.push(reason);
  process.on('unhandledRejection', stray);
  const controller = new AbortController();
  const order = vi.fn();
  const target = { uid: 'uid-1', digest: '' };
  const received = new TypesTransfers().receive(target, join(home, 'node'), order, controller.signal);
  controller.abort('enough');
  await expect(received).rejects.toBe('enough');
  process.off('unhandledRejection', stray);
  expect(strays).toEqual([]);
  expect(order).not.toHaveBeenCalled();
});
