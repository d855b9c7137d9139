import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { makeScratch } from '../../testing/files.ts';
import { makeTinyDisk, mayMount } from '../../testing/tiny-disk.ts';
import { fetchElf } from './fetch-elf.ts';
import { fetchFile } from './fetch-file.ts';
import { makeDebugElf } from './testing/debug-elf.ts';
import { quick } from './testing/quick.ts';
import { type Behaviour, SymbolServer } from './testing/symbol-server.ts';

const run = promisify(execFile);
const never = new AbortController().signal;
const buildId = '3b43fad5034874490492495d552c0af6a5fab235';
const elf = makeDebugElf(buildId, 1 << 20);

/** The limit is for a whole process, so this runs in one of its own. */
const fetchInProcess = `
  const { fetchElf } = await import('./fetch-elf.ts');
  const { fetchFile } = await import('./fetch-file.ts');
  const [kind, url, path] = process.argv.slice(1);
  const request = { url: new URL(url), path, buildId: '${buildId}', limitBytes: 2 ** 30 };
  const end = await (kind === 'elf' ? fetchElf : fetchFile)(request, new AbortController().signal);
  process.stdout.write(JSON.stringify(end));
`;

const cases: [string, 'elf' | 'file', Behaviour][] = [
  ['parts of an ELF file', 'elf', {}],
  ['a whole ELF file', 'elf', { ignoreRange: true }],
  ['another file', 'file', {}],
];

test.each(cases)('a limit on the size of files: %s', async (_what, kind, how) => {
  await using server = await SymbolServer.start();
  using scratch = makeScratch();
  const url = server.put('/vmlinux', elf.bytes, () => how);
  const script = 'trap "" XFSZ; ulimit -f 1000; exec "$@"';
  const program = [process.execPath, '--input-type=module', '--eval', fetchInProcess];
  const { stdout } = await run('sh', ['-c', script, 'sh', ...program, kind, url.href, join(scratch.dir, 'vmlinux')], {
    cwd: import.meta.dirname,
  });
  const reason = `cannot be kept: there is no room for it in ${scratch.dir} (EFBIG)`;
  expect(JSON.parse(stdout)).toEqual({ kind: 'failed', reason, transient: true });
  expect(readdirSync(scratch.dir)).toEqual([]);
});

test.skipIf(!mayMount).each(cases)('a full disk: %s (needs the right to mount)', async (_what, kind, how) => {
  using disk = makeTinyDisk();
  await using server = await SymbolServer.start();
  const place = { url: server.put('/vmlinux', elf.bytes, () => how), path: join(disk.dir, 'vmlinux'), timeouts: quick };
  const end = await (kind === 'elf'
    ? fetchElf({ ...place, buildId }, never)
    : fetchFile({ ...place, limitBytes: 1 << 30 }, never));
  expect(end).toMatchObject({ kind: 'failed', transient: true, reason: expect.stringContaining('no room for it in') });
  expect(readdirSync(disk.dir)).toEqual([]);
});
