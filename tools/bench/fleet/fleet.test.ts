import { expect, test } from 'vitest';
import { measureSize } from './size.ts';

test('a fleet of 20 agents enrols, registers and gets an order, from the collector and from its peer alike', async () => {
  const { ours, peer } = await measureSize(20, 2, { settleSeconds: 0, orders: 2, lists: 2 });
  const whole = { online: 20, connections: 20, losses: 0 };
  for (const queries of [ours, peer]) {
    expect(queries).toMatchObject({
      ...whole,
      orderMs: [expect.any(Number), expect.any(Number)],
      listMs: [expect.any(Number), expect.any(Number)],
    });
  }
});
