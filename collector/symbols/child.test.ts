import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../testing/files.ts';
import { runChild } from './child.ts';

const never = new AbortController().signal;

/** Whether a process with this text in its command line lives. */
function lives(mark: string): boolean {
  return readdirSync('/proc').some((pid) => {
    try {
      return (
        /^\d+$/.test(pid) &&
        Number(pid) !== process.pid &&
        readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(mark)
      );
    } catch {
      return false;
    }
  });
}

test('what a killed collector had started dies with it: no second build of a kernel beside the first', async () => {
  const mark = `kcorder-test-${process.pid}-${Date.now()}`;
  const runner = join(import.meta.dirname, 'testing', 'child-runner.ts');
  const collector = spawn(process.execPath, [runner, mark], { stdio: ['ignore', 'pipe', 'inherit'] });
  await until(() => lives(`sh\0${mark}`));
  const ended = once(collector, 'exit');
  collector.kill('SIGKILL');
  await ended;
  await until(() => !lives(mark));
});

test.each([
  ['ends well', 'exit 0', { kind: 'exited', code: 0 }],
  ['fails and says why', 'echo why >&2; exit 3', { kind: 'exited', code: 3, stderr: 'why\n' }],
  ['is killed', 'kill -9 $$', { kind: 'killed', by: 'SIGKILL' }],
  ['prints more than is wanted', 'echo too much; sleep 1000', { kind: 'stopped' }],
  ['takes too long', 'sleep 1000', { kind: 'timeout' }],
])('a program that %s is told so', async (_, script, end) => {
  const output = (chunk: Buffer) => !chunk.includes('too much');
  expect(await runChild({ argv: ['sh', '-c', script], output, wallMs: 2_000 }, never)).toMatchObject(end);
});

test('a program that is not there is told so', async () => {
  const run = { argv: ['/nonexistent/program'], output: () => true, wallMs: 2_000 } as const;
  expect(await runChild({ ...run, argv: ['/nonexistent/program'] }, never)).toEqual({ kind: 'not_found' });
});
