import { expect, test } from 'vitest';
import { proveDays } from './testing/prove-days.ts';

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));

/* Whole weeks: ./dev soak weeks. */
test.each([
  { sentence: 'two days', zone: 'UTC', wall: '2026-01-05T00:00:00.000Z' },
  { sentence: 'two days in which an hour is left out', zone: 'Europe/Berlin', wall: '2026-03-28T00:00:00.000Z' },
  { sentence: 'two days in which an hour comes twice', zone: 'America/New_York', wall: '2026-10-31T12:00:00.000Z' },
])(
  '$sentence: every tick comes to each node once, and nothing is silent',
  async ({ sentence, zone, wall }) => {
    console.log(`${sentence}: SEED=${seed}`);
    const counts = await proveDays({ zone, wall, days: 2, seed });
    for (const why of ['succeeded', 'failed']) expect(counts.get(why)).toBeGreaterThan(0);
  },
  300_000,
);
