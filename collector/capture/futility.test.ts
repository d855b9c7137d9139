import { expect, test } from 'vitest';
import { end, events, start } from '../testing/states.ts';
import type { CaptureState } from './capture.ts';
import { futility, next } from './next.ts';

/** The state after an upload was opened so many times, each time with the offset that `offsetAt` gives. */
function opened(times: number, offsetAt: (attempt: number) => number): CaptureState {
  let state: CaptureState = { phase: 'requested' };
  for (let attempt = 1; attempt <= times; attempt += 1) {
    const step = next(state, { ...events.opened, start, attempt, durableBytes: offsetAt(attempt) });
    if (step.kind === 'refused') throw new Error(step.reason);
    state = step.state;
  }
  return state;
}

const kib = 1 << 10;

test.each([
  { sentence: 'never grows', times: 101, offsetAt: () => 0, offset: 0, isFutile: true },
  { sentence: 'never grew until now', times: 101, offsetAt: () => 0, offset: 64 * kib, isFutile: false },
  { sentence: 'may be opened once more', times: 100, offsetAt: () => 0, offset: 0, isFutile: false },
  { sentence: 'grows by a byte each time', times: 101, offsetAt: (n: number) => n, offset: 102, isFutile: true },
  { sentence: 'grows slowly', times: 1_000, offsetAt: (n: number) => n * kib, offset: 1_001 * kib, isFutile: false },
  {
    sentence: 'grows well',
    times: 5_000,
    offsetAt: (n: number) => n * 64 * kib,
    offset: 5_000 * 64 * kib,
    isFutile: false,
  },
])('an acquisition that $sentence', ({ times, offsetAt, offset, isFutile }) => {
  expect(futility(opened(times, offsetAt), offset) !== undefined).toBe(isFutile);
});

test('of many interruptions the newest 256 are held', () => {
  const state = opened(1_000, (attempt) => attempt * 64 * kib);
  expect(state).toMatchObject({ epoch: 1_000 });
  const { interruptions } = state as CaptureState & { phase: 'acquiring' };
  expect(interruptions).toHaveLength(256);
  expect(interruptions.at(-1)?.offsetBytes).toBe(1_000 * 64 * kib);
});

test('what is not being acquired is never futile', () => {
  expect(futility({ phase: 'requested' }, 0)).toBeUndefined();
  const ended = next(
    opened(101, () => 0),
    { ...events.finished, end },
  );
  expect(ended.kind === 'moved' && futility(ended.state, 0)).toBeUndefined();
});
