import { expect, test } from 'vitest';
import { typesFor } from './globals.ts';

test.each([
  ['5.4.0-216-generic', 18],
  ['5.15.0', 18],
  ['6.0.0-rc1', 19],
  ['6.1.0-56-cloud-amd64', 19],
  ['6.12.117+deb12-cloud-amd64', 19],
  ['6.15.1', 20],
  ['7.0', 20],
])('a kernel %s has %i flags of taint', (release, count) => {
  expect(typesFor('taint_flags', release)[0]).toBe(`[${count}]struct taint_flag`);
});

test('a release that is none has no type that depends on it', () => {
  expect(typesFor('taint_flags', 'small')).toEqual([]);
  expect(typesFor('init_task', 'small')).toEqual(['struct task_struct']);
});
