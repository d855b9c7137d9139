import { expect, test } from 'vitest';
import { createMeter } from './meter.ts';

test('speed and time left come from the last ten seconds', () => {
  const meter = createMeter();
  for (let second = 0; second <= 20; second += 1)
    meter.add(second * 1000, second < 10 ? 0 : (second - 10) * 5e6, second / 40);
  expect(meter.rate(20_000)).toBe(5e6);
  expect(meter.leftMs(20_000)).toBeCloseTo(20_000, 0);
});

test('nothing can be told before half a second has passed', () => {
  const meter = createMeter();
  expect(meter.rate(0)).toBeUndefined();
  meter.add(0, 0, 0);
  meter.add(100, 1e6, 0.1);
  expect(meter.rate(100)).toBeUndefined();
  expect(meter.leftMs(100)).toBeUndefined();
});

test('between two reports the speed does not sag', () => {
  const meter = createMeter();
  meter.add(0, 0, 0);
  meter.add(1000, 5e6, 0.1);
  expect(meter.rate(2500)).toBe(5e6);
});

test('a long silence counts as standing still, and then there is no time left to tell', () => {
  const meter = createMeter();
  meter.add(0, 0, 0);
  meter.add(1000, 5e6, 0.1);
  expect(meter.rate(5000)).toBe(1e6);
  expect(meter.rate(30_000)).toBe(0);
  expect(meter.leftMs(30_000)).toBeUndefined();
});
