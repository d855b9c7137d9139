import type { ElfLimits } from '../elf-limits.ts';
import type { Timeouts } from '../timeouts.ts';

/** Waits that a test can afford. */
export const quick: Timeouts = {
  headersMs: 20_000,
  idleMs: 20_000,
  wallMs: 20_000,
  attempts: 3,
  backoffMs: 1,
  backoffLimitMs: 4,
  retryAfterLimitMs: 30,
};

/** Requests so small that a small file needs many. */
export const small: ElfLimits = {
  fileBytes: 64 << 20,
  neededBytes: 16 << 20,
  pageBytes: 4 << 10,
  pieceBytes: 64 << 10,
  gapBytes: 4 << 10,
  connections: 3,
};
