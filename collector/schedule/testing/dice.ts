/** Chances that are the same for the same start (mulberry32). */
export function dice(start: number) {
  let state = start;
  const random = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (most: number): number => Math.floor(random() * most);
  const one = <T>(...of: readonly T[]): T => of[below(of.length)] as T;
  return { random, below, one };
}
