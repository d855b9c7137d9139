import type { KeyPair } from './certificates.ts';

/** One authority of the collector. It is first made known, then signs, then is still trusted for a while, then forgotten. */
export interface Generation extends KeyPair {
  /** ISO 8601, UTC; also part of the authority's name. */
  readonly createdAt: string;
  readonly notAfter: string;
}

const hour = 3_600_000;
const day = 24 * hour;

/** How long each part of an authority's life is, in milliseconds. */
export const lives = {
  authority: 365 * day,
  /** A leaf's: renewed at its half. */
  leaf: hour,
  /** From the day on which an authority is made known until it signs: everybody has read the bundle again by then. */
  overlap: day,
  /** From the last signature until an authority is forgotten. */
  farewell: day,
} as const;

/** Whether another authority is to be made: there is none, or the newest is past the half of its life. Generations are oldest first. */
export function needsAnother(generations: readonly Generation[], nowMs: number): boolean {
  const newest = generations.at(-1);
  return newest === undefined || nowMs - Date.parse(newest.createdAt) >= lives.authority / 2 || isOver(newest, nowMs);
}

/** The authority that signs: the newest of those that have been known for the overlap, else the oldest there is. */
export function signing(generations: readonly Generation[], nowMs: number): Generation | undefined {
  const alive = generations.filter((generation) => !isOver(generation, nowMs));
  return alive.findLast(({ createdAt }) => nowMs - Date.parse(createdAt) >= lives.overlap) ?? alive[0];
}

/** Those that are trusted still: none that is over, and none whose successor has been signing for longer than the farewell. */
export function trusted(generations: readonly Generation[], nowMs: number): Generation[] {
  return generations.filter((generation, index) => {
    const successor = generations[index + 1];
    const successorSignsSince = successor === undefined ? nowMs : Date.parse(successor.createdAt) + lives.overlap;
    return !isOver(generation, nowMs) && nowMs - successorSignsSince < lives.farewell;
  });
}

const isOver = ({ notAfter }: Generation, nowMs: number): boolean => Date.parse(notAfter) <= nowMs;
