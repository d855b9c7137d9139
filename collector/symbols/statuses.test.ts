import { expect, test } from 'vitest';
import { KernelStatus, Statuses } from './statuses.ts';
import { identityOf } from './symbols.ts';

const told = (text: string) => ({
  ...{ buildId: text, banner: text, release: text, architecture: 'x86_64', cosBuildId: '', typesProblem: text },
  vmcoreinfo: 'v'.repeat(900_000),
});

test('of what a node tells of its kernel a search holds what it goes by and nothing else', () => {
  expect(identityOf(told('k'))).toEqual({
    ...{ buildId: 'k', banner: 'k', release: 'k', architecture: 'x86_64', cosBuildId: '', typesProblem: 'k' },
  });
});

test('searches for ever new kernels of the longest words are forgotten by their size, the oldest first', () => {
  const statuses = new Statuses();
  for (let index = 0; index < 1_500; index += 1) {
    const status = new KernelStatus(identityOf(told(`${index}`.padEnd(4_096, 'x'))), []);
    for (const source of ['bucket', 'cos', 'debuginfod'] as const)
      status.report(source, 'nothing', 'y'.repeat(100_000));
    statuses.put(String(index), status);
  }
  const kept = statuses.list();
  expect(kept.reduce((sum, { units }) => sum + units, 0)).toBeLessThanOrEqual(8 << 20);
  expect(kept.length).toBeGreaterThan(100);
  expect(statuses.get('1499')).toBe(kept.at(-1));
  expect(statuses.get('0')).toBeUndefined();
});

test('more kernels than 2,000 are never held', () => {
  const statuses = new Statuses();
  for (let index = 0; index < 2_100; index += 1)
    statuses.put(String(index), new KernelStatus(identityOf(told(String(index))), []));
  expect(statuses.list()).toHaveLength(2_000);
});
