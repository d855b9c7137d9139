/** Printed by the tests that use it; KCORDER_SEED repeats a run. */
export const fuzzSeed = Number(process.env.KCORDER_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** Random numbers from 0 to 1, the same for the same seed (mulberry32). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const hostile = [0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

/** A copy with one to four faults: flipped bits, hostile numbers, a cut, a piece moved or repeated. */
export function damaged(bytes: Buffer, next: () => number): Buffer {
  let copy = Buffer.from(bytes);
  const below = (limit: number) => Math.floor(next() * limit);
  for (let faults = 1 + below(4); faults > 0 && copy.length > 8; faults -= 1) {
    const at = below(copy.length - 4);
    switch (below(6)) {
      case 0:
        copy[at] = (copy[at] ?? 0) ^ (1 << below(8));
        break;
      case 1:
        copy[at] = below(256);
        break;
      case 2:
        copy.writeUInt32LE(hostile[below(hostile.length)] ?? 0, at);
        break;
      case 3:
        copy = copy.subarray(0, at);
        break;
      case 4:
        copy.copy(copy, at, below(copy.length), below(copy.length));
        break;
      default:
        copy.writeUInt32LE(below(copy.length), at);
    }
  }
  return copy;
}
