import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Fault, type FaultCode } from '@kcorder/proto/fault.ts';
import { expect, test } from 'vitest';
import { makeFakeAvml } from '../testing/fake-avml.ts';
import type { LoopbackCollector } from '../testing/loopback-collector.ts';
import { Rig, until } from '../testing/rig.ts';

const chunkBytes = 64 << 10;
/** Five windows' worth and an odd end. */
const imageBytes = 5 * (1 << 20) + 12_345;

/** Numbers from 0 to 1 that a seed decides (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

test.each([1, 2, 3, Date.now() % 1_000_000])(
  'streams cut at random points resume to the same image (seed %i)',
  async (seed) => {
    await using rig = new Rig();
    const avml = makeFakeAvml(rig.dir, imageBytes);
    const random = seeded(seed);
    const { collector } = rig;
    collector.bends.chunk = (_, data) => {
      const dice = random();
      if (dice > 0.15) return;
      // Part of the chunk became durable before the break: the next stream starts in the middle of it.
      collector.image = Buffer.concat([collector.image, data.subarray(0, Math.floor(dice * 4 * data.length))]);
      throw new Fault('unavailable', 'cut by the test');
    };
    await rig.start(avml);
    collector.order('c-1');
    await until(() => collector.sealed);
    expect(collector.image.equals(avml.image)).toBe(true);
    expect(new Set(collector.opens.map((open) => open.acquisitionId)).size).toBe(1);
    expect(collector.opens.map((open) => open.attempt)).toEqual(collector.opens.map((_, index) => index + 1));
    expect(collector.opens.length).toBeGreaterThan(2);
  },
);

test('a collector that is gone for a while finds the rest when it is back', async () => {
  await using rig = new Rig();
  const avml = makeFakeAvml(rig.dir, imageBytes);
  const { collector } = rig;
  await rig.start(avml);
  const held = Promise.withResolvers<void>();
  collector.bends.chunk = (offsetBytes) => (offsetBytes >= 2 << 20 ? held.promise : undefined);
  collector.order('c-1');
  await until(() => collector.image.length >= 2 << 20);
  collector.stop();
  collector.bends = {};
  await sleep(700);
  await collector.start();
  await until(() => collector.sealed);
  expect(collector.image.equals(avml.image)).toBe(true);
  await until(() => collector.hellos.length === 2);
  expect(collector.hellos.map(({ instanceId }) => instanceId)).toEqual(Array(2).fill(collector.hellos[0]?.instanceId));
});

test('acknowledgements that repeat, or tell what is long known, change nothing', async () => {
  await using rig = new Rig();
  const avml = makeFakeAvml(rig.dir, imageBytes);
  rig.collector.bends.acknowledge = (durable) => [durable, durable, Math.max(0, durable - 100_000), durable];
  await rig.start(avml);
  rig.collector.order('c-1');
  await until(() => rig.collector.sealed);
  expect(rig.collector.image.equals(avml.image)).toBe(true);
});

test('a seal that got lost is asked for again', async () => {
  await using rig = new Rig();
  const avml = makeFakeAvml(rig.dir, imageBytes);
  let lost = 0;
  rig.collector.bends.finish = () => {
    lost += 1;
    if (lost < 3) throw new Fault('unavailable', 'cut by the test');
  };
  await rig.start(avml);
  rig.collector.order('c-1');
  await until(() => rig.saw('evidence sealed'));
  expect(rig.collector.opens.map(({ heldFrom }) => Number(heldFrom))).toEqual([0, imageBytes, imageBytes]);
});

test.each([
  ['below what it had acknowledged', (durable: number) => durable - chunkBytes],
  ['above everything that was read', () => imageBytes * 2],
])('a collector that goes on %s has lost or invented bytes: the capture ends', async (_, bend) => {
  await using rig = new Rig();
  const avml = makeFakeAvml(rig.dir, imageBytes, 'cat "$IMAGE" > "$FIFO"; exec sleep 600');
  const { collector } = rig;
  collector.bends.open = ({ attempt }) => (attempt === 1 ? undefined : bend(collector.image.length));
  collector.bends.chunk = (offsetBytes) => {
    if (offsetBytes >= 1 << 20 && collector.opens.length === 1) throw new Fault('unavailable', 'cut by the test');
  };
  await rig.start(avml);
  collector.order('c-1');
  await until(() => rig.saw('capture ended without a seal'));
  expect(rig.logged.find(({ msg }) => msg === 'capture ended without a seal')).toMatchObject({
    fault: 'integrity_conflict',
  });
  await until(() => collector.heartbeats > 0);
  expect(collector.sealed).toBe(false);
});

const final: FaultCode[] = [
  'stream_fenced',
  'capture_ended',
  'not_ordered',
  'integrity_conflict',
  'ceiling_exceeded',
  'lease_held',
];

/** The end of AVML takes a moment, in which the node is still busy. */
async function orderUntilTaken(collector: LoopbackCollector, captureId: string): Promise<void> {
  do {
    const answered = collector.answers.length;
    collector.order(captureId);
    await until(() => collector.answers.length > answered);
  } while (collector.answers.at(-1)?.refusals.length !== 0);
}

test.each(final)(
  '%s from the collector is final: AVML dies and the node is free for the next capture',
  async (code) => {
    await using rig = new Rig();
    const avml = makeFakeAvml(rig.dir, imageBytes);
    const { collector } = rig;
    collector.bends.chunk = () => {
      throw new Fault(code, 'said by the test');
    };
    await rig.start(avml);
    collector.order('c-1');
    await until(() => rig.saw('capture ended without a seal'));
    expect(collector.opens).toHaveLength(1);
    collector.bends = {};
    await orderUntilTaken(collector, 'c-2');
    await until(() => collector.sealed);
    expect(collector.image.equals(avml.image)).toBe(true);
  },
);

test.each([
  [3, 'evidence sealed'],
  [4, 'capture ended without a seal'],
])('after %i damaged arrivals of the same bytes: %s', async (times, message) => {
  await using rig = new Rig();
  const avml = makeFakeAvml(rig.dir, imageBytes);
  let damaged = 0;
  rig.collector.bends.chunk = (offsetBytes) => {
    if (offsetBytes !== 10 * chunkBytes || damaged === times) return;
    damaged += 1;
    throw new Fault('checksum_mismatch', 'said by the test');
  };
  await rig.start(avml);
  rig.collector.order('c-1');
  await until(() => rig.saw(message));
  expect(rig.collector.opens).toHaveLength(4);
});

test('AVML waits while the window is full, and goes on when there is room', async () => {
  await using rig = new Rig();
  const written = join(rig.dir, 'written');
  const avml = makeFakeAvml(rig.dir, imageBytes, `cat "$IMAGE" > "$FIFO"; touch '${written}'`);
  const held = Promise.withResolvers<void>();
  rig.collector.bends.chunk = (offsetBytes) => (offsetBytes === 0 ? held.promise : undefined);
  await rig.start(avml);
  rig.collector.order('c-1');
  await until(() => rig.collector.opens.length === 1);
  await sleep(500);
  expect(existsSync(written)).toBe(false);
  held.resolve();
  await until(() => rig.collector.sealed);
  expect(existsSync(written)).toBe(true);
  expect(rig.collector.image.equals(avml.image)).toBe(true);
});

test('without durable progress the capture is given up and AVML dies', async () => {
  await using rig = new Rig();
  const avml = makeFakeAvml(rig.dir, imageBytes);
  const held = Promise.withResolvers<void>();
  rig.collector.bends.chunk = (offsetBytes) => (offsetBytes === 2 * chunkBytes ? held.promise : undefined);
  await rig.start(avml, {}, { stallMs: 300 });
  rig.collector.order('c-1');
  const gaveUp = 'nothing became durable at the collector for too long; AVML is ended and the rest is dropped';
  await until(() => rig.saw(gaveUp));
  expect(rig.logged.find(({ msg }) => msg === gaveUp)).toMatchObject({
    reason: 'network_stall',
    durableBytes: 2 * chunkBytes,
  });
  held.resolve();
});
