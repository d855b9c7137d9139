import { expect, test } from 'vitest';
import { expired } from '../custody/retention.ts';
import { CustodyQueue } from '../journal/custody-queue.ts';
import { events } from '../testing/states.ts';
import { hourMs, minuteMs, on, worldWith } from './testing/hour.ts';

test('whoever triggers a schedule again and again has none of its captures deleted', async () => {
  using world = await worldWith([{ ...on('n0'), retention: { keepLast: 3 } }]);
  await world.clock.pass(2.6 * hourMs);
  for (let round = 0; round < 7; round += 1) {
    const runs = world.schedules.trigger('s', `key-${round}`, 'operator/mallory');
    await world.clock.pass(2 * minuteMs);
    expect(await runs).toHaveLength(1);
  }
  for (const { request } of world.journal.list({ limit: 100 }))
    world.journal.apply(request.id, { ...events.analysis_ended, at: world.clock.wall().toISOString() }, 'collector');

  const queue = new CustodyQueue(world.database);
  const [scheduled, triggered] = [queue.madeBy('s', 'n0'), queue.madeBy('', 'n0')];
  expect([scheduled.length, triggered.length]).toEqual([3, 7]);
  const schedules = world.schedules.retentionRules();
  const all = [...scheduled, ...triggered];
  expect(expired(all, { schedules, retentionMs: 0 }, world.clock.wall().getTime())).toEqual([]);
  // They go by the time for what people asked for, and no rule of the schedule covers them.
  const later = world.clock.wall().getTime() + hourMs;
  const gone = expired(all, { schedules, retentionMs: 1 }, later).map(({ captureId }) => captureId);
  expect(gone).toEqual(triggered.map(({ captureId }) => captureId));
});
