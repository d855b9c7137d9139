import { Fault } from '@kcorder/proto/fault.ts';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LastGood } from './last-good.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A file of one number; `text` undefined: it cannot be read. */
async function open(start: string | undefined) {
  const file = { text: start, refusing: '' };
  const told: string[] = [];
  const lastGood = await LastGood.open({
    read: async () => {
      if (file.text === undefined) throw new Fault('config_invalid', 'the file is gone');
      return file.text;
    },
    parse: (text) => {
      if (!/^\d+$/.test(text)) throw new Fault('config_invalid', `${text} is no number`);
      return Number(text);
    },
    changed: (value) => {
      if (file.refusing !== '') throw new Fault('storage_failed', file.refusing);
      told.push(`changed ${value}`);
    },
    recovered: (value) => void told.push(`recovered ${value}`),
    refused: ({ message }) => void told.push(`refused: ${message}`),
  });
  const look = async (text: string | undefined) => {
    file.text = text;
    told.length = 0;
    await lastGood.look();
    await lastGood.look();
    return [...told, lastGood.value];
  };
  return { file, told, lastGood, look };
}

test('a file that cannot be read or is wrong is not opened', async () => {
  await expect(open(undefined)).rejects.toThrow('the file is gone');
  await expect(open('x')).rejects.toThrow('x is no number');
  expect(vi.getTimerCount()).toBe(0);
});

test('opening is no change, another text is one', async () => {
  const { look } = await open('1');
  expect(await look('1')).toEqual([1]);
  expect(await look('2')).toEqual(['changed 2', 2]);
});

test('each new fault is told once, the last good value holds, and its return is told', async () => {
  const { look } = await open('1');
  expect(await look('x')).toEqual(['refused: x is no number', 1]);
  expect(await look('x')).toEqual([1]);
  expect(await look('y')).toEqual(['refused: y is no number', 1]);
  expect(await look(undefined)).toEqual(['refused: the file is gone', 1]);
  expect(await look('1')).toEqual(['recovered 1', 1]);
  expect(await look('x')).toEqual(['refused: x is no number', 1]);
  expect(await look('2')).toEqual(['changed 2', 2]);
});

test('a value that is not taken does not count, and is offered again', async () => {
  const { file, look } = await open('1');
  file.refusing = 'the disk is full';
  expect(await look('2')).toEqual(['refused: the disk is full', 1]);
  file.refusing = '';
  expect(await look('2')).toEqual(['changed 2', 2]);
});

test('it is looked at every 15 s until it is closed', async () => {
  const { file, told, lastGood } = await open('1');
  file.text = '2';
  await vi.advanceTimersByTimeAsync(14_999);
  expect(told).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(told).toEqual(['changed 2']);
  lastGood.close();
  file.text = '3';
  await vi.advanceTimersByTimeAsync(60_000);
  expect(told).toEqual(['changed 2']);
});
