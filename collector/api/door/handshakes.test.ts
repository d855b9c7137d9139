import { expect, test, vi } from 'vitest';
import { Handshakes } from './handshakes.ts';

test('the handshakes of a crowd begin a few at a time and in order; another origin does not wait for them', () => {
  vi.useFakeTimers();
  try {
    const handshakes = new Handshakes({ atOnce: 2, everyMs: 5 });
    const begun: string[] = [];
    for (let i = 0; i < 100; i += 1) handshakes.begin('api 10.0.0.9', () => void begun.push(`crowd-${i}`));
    handshakes.begin('api 10.0.0.8', () => void begun.push('other'));
    expect(begun).toEqual([...Array.from({ length: 2 }, (_, i) => `crowd-${i}`), 'other']);
    vi.advanceTimersByTime(5);
    expect(begun).toHaveLength(5);
    vi.advanceTimersByTime(1_000);
    expect(begun.filter((one) => one !== 'other')).toEqual(Array.from({ length: 100 }, (_, i) => `crowd-${i}`));
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});
