import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { headroomBytes, Window } from './window.ts';

const chunkBytes = 16;
const chunks = 4;

/** The image is known beforehand: byte n is a function of n. */
const byteAt = (offset: number): number => (offset * 31 + (offset >> 4)) & 0xff;

/** Everything that was read, and nothing clever. */
interface Model {
  readBytes: number;
  heldFrom: number;
  ended: boolean;
}

class Fill implements fc.Command<Model, Window> {
  readonly share: number;
  constructor(share: number) {
    this.share = share;
  }
  check(model: Model): boolean {
    return !model.ended;
  }
  run(model: Model, window: Window): void {
    if (window.isFull) {
      expect(model.readBytes - model.heldFrom).toBeGreaterThan((chunks - 2) * chunkBytes);
      return;
    }
    const space = window.space();
    expect(space.length).toBeGreaterThan(0);
    const count = 1 + Math.floor(this.share * (space.length - 1));
    for (let at = 0; at < count; at += 1) space[at] = byteAt(model.readBytes + at);
    expect(window.filled(count)).toBe(!window.isFull);
    model.readBytes += count;
    expect(window.readBytes).toBe(model.readBytes);
    expect(model.readBytes - model.heldFrom).toBeLessThanOrEqual(chunks * chunkBytes);
  }
  toString = () => `fill(${this.share})`;
}

class Acknowledge implements fc.Command<Model, Window> {
  readonly share: number;
  constructor(share: number) {
    this.share = share;
  }
  check(): boolean {
    return true;
  }
  run(model: Model, window: Window): void {
    // Now and then something below what was acknowledged before.
    const offset =
      Math.max(0, model.heldFrom - 8) + Math.floor(this.share * (model.readBytes - Math.max(0, model.heldFrom - 8)));
    window.acknowledge(offset);
    model.heldFrom = Math.max(model.heldFrom, offset);
    expect(window.heldFrom).toBe(model.heldFrom);
  }
  toString = () => `acknowledge(${this.share})`;
}

class Send implements fc.Command<Model, Window> {
  readonly share: number;
  constructor(share: number) {
    this.share = share;
  }
  check(model: Model): boolean {
    return model.readBytes > model.heldFrom;
  }
  run(model: Model, window: Window): void {
    const offset = model.heldFrom + Math.floor(this.share * (model.readBytes - model.heldFrom));
    const placeEnd = (Math.floor(offset / chunkBytes) + 1) * chunkBytes;
    const chunk = window.chunkAt(offset);
    if (offset === model.readBytes || (placeEnd > model.readBytes && !model.ended)) {
      expect(chunk).toBeUndefined();
      return;
    }
    const expected = Uint8Array.from({ length: Math.min(placeEnd, model.readBytes) - offset }, (_, at) =>
      byteAt(offset + at),
    );
    expect(chunk).toBeDefined();
    expect(chunk?.offsetBytes).toBe(offset);
    expect(Buffer.from(chunk?.place.subarray(headroomBytes) ?? [])).toEqual(Buffer.from(expected));
    expect(chunk?.crc32).toBe(crc32(expected));
    expect(chunk?.dataBytes).toBe(expected.length);
    // What is encoded there must not reach into bytes that are still to be sent.
    chunk?.place.fill(0xee, 0, headroomBytes);
  }
  toString = () => `send(${this.share})`;
}

class End implements fc.Command<Model, Window> {
  check(): boolean {
    return true;
  }
  run(model: Model, window: Window): void {
    window.end();
    model.ended = true;
  }
  toString = () => 'end';
}

describe('the window', () => {
  test('gives back what was put in, whatever the order of reading, sending and acknowledging', () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    const commands = [
      share.map((value) => new Fill(value)),
      fc.constant(new Fill(1)),
      share.map((value) => new Acknowledge(value)),
      share.map((value) => new Send(value)),
      fc.constant(new Send(0)),
      fc.integer({ min: 0, max: 40 }).map((value) => (value === 0 ? new End() : new Fill(1))),
    ];
    fc.assert(
      fc.property(fc.commands(commands, { maxCommands: 200 }), (run) => {
        fc.modelRun(
          () => ({ model: { readBytes: 0, heldFrom: 0, ended: false }, real: new Window({ chunkBytes, chunks }) }),
          run,
        );
      }),
      { numRuns: 1000 },
    );
  });

  test('refuses an acknowledgement of bytes that were never read', () => {
    const window = new Window({ chunkBytes, chunks });
    window.filled(10);
    expect(() => window.acknowledge(11)).toThrow('the collector acknowledged 11 bytes, but only 10 were read');
  });
});
