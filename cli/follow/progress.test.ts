import { Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { expect, test } from 'vitest';
import { captureOf } from '../fixtures/lab-capture.ts';
import { createProgress } from './progress.ts';

const at = (phase: (typeof Phase)[keyof typeof Phase], durableBytes = 0n, scannedBytes = 0n) =>
  captureOf({ phase, durableBytes, scannedBytes, ceilingBytes: 1_000_000_000n });

test('an acquisition tells bytes, part, speed and time left; the part counts the zeros that AVML went past', () => {
  const progress = createProgress();
  expect(progress.text(0)).toBe('');
  expect(progress.update(at(Phase.REQUESTED), 0)).toBe(true);
  expect(progress.text(2000)).toBe('lab-1: requested  2s');
  expect(progress.update(at(Phase.ACQUIRING), 2000)).toBe(true);
  expect(progress.text(2000)).toBe('lab-1: acquiring  0 B  0%');
  expect(progress.update(at(Phase.ACQUIRING, 104_857_600n, 250_000_000n), 4000)).toBe(false);
  expect(progress.text(4000)).toBe('lab-1: acquiring  100.0 MiB  25%  52.4 MB/s  ETA 6s');
});

test('without scanned bytes the part counts the durable ones', () => {
  const progress = createProgress();
  progress.update(at(Phase.ACQUIRING, 400_000_000n), 0);
  expect(progress.text(0)).toContain('40%');
});

test('the analysis tells how long it has been running', () => {
  const progress = createProgress();
  progress.update(at(Phase.ANALYZING, 104_857_600n), 1000);
  expect(progress.text(13_000)).toBe('lab-1: analyzing  100.0 MiB  12s');
});

test('a capture that waits for others says so until it begins', () => {
  const progress = createProgress();
  progress.update(captureOf({ phase: Phase.REQUESTED, durableBytes: 0n, waiting: true }), 0);
  expect(progress.text(4000)).toBe('lab-1: waiting for a free slot (so many captures run at once)  4s');
  expect(progress.update(captureOf({ phase: Phase.REQUESTED, durableBytes: 0n }), 5000)).toBe(true);
  expect(progress.text(5000)).toBe('lab-1: requested  0s');
});

test('a capture that is done has no progress', () => {
  const progress = createProgress();
  progress.update(at(Phase.DONE, 1n), 0);
  expect(progress.text(0)).toBe('');
});
