import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { boot } from './boot.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kcorder-boot-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Boots a machine whose QEMU is a shell script, in which $starts counts from 1; resolves with how often it was started too. */
async function bootBy(script: string) {
  const path = join(dir, 'qemu');
  const startsPath = join(dir, 'starts');
  const head = `#!/bin/sh\necho >>'${startsPath}'; starts=$(wc -l <'${startsPath}')`;
  writeFileSync(path, `${head}\n${script}\n`, { mode: 0o755 });
  const ended = await boot(
    {
      emulator: [path],
      accel: 'tcg',
      memoryMiB: 1,
      la57: false,
      vmlinuzPath: '/none',
      initrdPath: '/none',
      consolePath: join(dir, 'console.log'),
      logPath: join(dir, 'qemu.log'),
      disks: [],
      endsWithUs: true,
    },
    () => {},
  );
  if (ended.kind === 'ready') process.kill(ended.pid, 'SIGKILL');
  return { ended, starts: readFileSync(startsPath, 'utf8').length };
}

const ready = () => `echo 'lab: ready' >'${dir}/console.log'; exec sleep 600`;

test('a QEMU that aborts before the node is ready is started once more', async () => {
  const { ended, starts } = await bootBy(`[ $starts -gt 1 ] || kill -ABRT $$\n${ready()}`);
  expect([ended.kind, starts]).toEqual(['ready', 2]);
});

test('one that aborts again is an error that says to try again, with what QEMU said', async () => {
  const { ended, starts } = await bootBy('echo "assertion failed: (iotlb)" >&2; kill -ABRT $$');
  expect(starts).toBe(2);
  expect(ended).toMatchObject({ kind: 'failed', why: expect.stringMatching(/SIGABRT/) });
  expect(ended).toMatchObject({ why: expect.stringMatching(/try again.*assertion failed/s) });
});

test.each(['exit 1', 'kill -SEGV $$', 'kill -KILL $$'])('one that ends by `%s` is not started again', async (end) => {
  const { ended, starts } = await bootBy(end);
  expect([ended.kind, starts]).toEqual(['failed', 1]);
});
