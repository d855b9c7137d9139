import { expect, test } from 'vitest';
import { proveDays } from '../../collector/schedule/testing/prove-days.ts';

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const weeks = [
  { sentence: 'a week', zone: 'UTC', wall: '2026-01-05T00:00:00.000Z' },
  { sentence: 'a week in which an hour is left out', zone: 'Europe/Berlin', wall: '2026-03-25T00:00:00.000Z' },
  { sentence: 'a week in which an hour comes twice', zone: 'America/New_York', wall: '2026-10-29T00:00:00.000Z' },
];

test.each([0, 1, 2, 3].flatMap((round) => weeks.map((week) => ({ ...week, seed: seed + round }))))(
  '$sentence with the seed $seed: every tick comes to each node once, and nothing is silent',
  async ({ zone, wall, seed: from }) => {
    const counts = await proveDays({ zone, wall, days: 7, seed: from });
    process.stdout.write(
      `${[...counts]
        .map(([why, count]) => `${count} ${why}`)
        .sort()
        .join(', ')}\n`,
    );
    for (const why of ['succeeded', 'failed', 'skipped overlap', 'missed collector_down'])
      expect(counts.get(why)).toBeGreaterThan(0);
  },
);
