import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { makeScratch } from '../testing/files.ts';
import { openDatabase } from './database.ts';
import { JoinTokens } from './join-tokens.ts';

const node = { name: 'n1', uid: 'u1' };
const [key, otherKey] = [Buffer.from('key'), Buffer.from('other key')];
const inAnHour = new Date(Date.now() + 3_600_000);

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

function open(): Disposable & { tokens: JoinTokens } {
  const scratch = makeScratch();
  const database = openDatabase(scratch.dir);
  return {
    tokens: new JoinTokens(database),
    [Symbol.dispose]: () => {
      database.close();
      scratch[Symbol.dispose]();
    },
  };
}

test('a token is for the key that showed it first, which may show it again for five minutes', () => {
  using opened = open();
  const { tokens } = opened;
  const token = tokens.create(node, inAnHour);
  const redeem = (shownBy: Uint8Array) => tokens.redeem(token, shownBy, new Date());
  expect(redeem(key)).toEqual(node);
  vi.advanceTimersByTime(4 * 60_000);
  expect(redeem(otherKey)).toBeUndefined();
  expect(redeem(key)).toEqual(node);
  vi.advanceTimersByTime(60_000);
  expect(redeem(key)).toBeUndefined();
  expect(redeem(otherKey)).toBeUndefined();
});

test('a bounded number of redeemed tokens is remembered, the newest ones', () => {
  using opened = open();
  const { tokens } = opened;
  const made = Array.from({ length: 1_001 }, () => tokens.create(node, inAnHour));
  const redeemed = () => made.filter((token) => tokens.redeem(token, key, new Date()) !== undefined);
  expect(redeemed()).toHaveLength(1_001);
  expect(redeemed()).toEqual(made.slice(1));
});
