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

/** How far ahead of a peer's clock ours may be, in milliseconds: a certificate begins to hold by as much before it is made. */
export const clockToleranceMs = 5 * 60_000;

/** Generations kept that have begun, and that have not. Those beyond what is trusted are for a clock that was wrong for a while. */
const most = { begun: 4, ahead: 4 } as const;

/**
 * Returns the generations that stay stored, oldest first. A clock can be wrong, so time alone deletes nothing: what is over or has been
 * succeeded is merely not trusted, and counts again once the clock is right. The number is bounded on both sides of now.
 */
export function retained(generations: readonly Generation[], nowMs: number): Generation[] {
  const begun = generations.filter((generation) => hasBegun(generation, nowMs)).length;
  return generations.slice(Math.max(0, begun - most.begun), begun + most.ahead);
}

/**
 * Returns true if no generation has begun, or if the newest that has is past half its life. One from the future was made by a clock that was
 * ahead, and holds for nobody.
 */
export function needsAnother(generations: readonly Generation[], nowMs: number): boolean {
  const newest = generations.findLast((generation) => hasBegun(generation, nowMs));
  return newest === undefined || nowMs - Date.parse(newest.createdAt) >= lives.authority / 2 || isOver(newest, nowMs);
}

/** Returns the authority that signs: the newest of those that hold and have been known for the overlap, else the oldest that holds. */
export function signing(generations: readonly Generation[], nowMs: number): Generation | undefined {
  const alive = generations.filter((generation) => hasBegun(generation, nowMs) && !isOver(generation, nowMs));
  return alive.findLast(({ createdAt }) => nowMs - Date.parse(createdAt) >= lives.overlap) ?? alive[0];
}

/** Returns those that are trusted: none that is over, and none whose successor has been signing for longer than the farewell. */
export function trusted(generations: readonly Generation[], nowMs: number): Generation[] {
  return generations.filter((generation, index) => {
    const successor = generations[index + 1];
    const successorSignsSince = successor === undefined ? nowMs : Date.parse(successor.createdAt) + lives.overlap;
    return !isOver(generation, nowMs) && nowMs - successorSignsSince < lives.farewell;
  });
}

/** Adds a generation in its place by age. */
export const withAnother = (generations: readonly Generation[], made: Generation): Generation[] =>
  [...generations, made].toSorted((one, other) => Date.parse(one.createdAt) - Date.parse(other.createdAt));

const hasBegun = ({ createdAt }: Generation, nowMs: number): boolean =>
  Date.parse(createdAt) - clockToleranceMs <= nowMs;

const isOver = ({ notAfter }: Generation, nowMs: number): boolean => Date.parse(notAfter) <= nowMs;
