import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Confine } from '../confine.ts';
import { buildIsf } from './builder.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'kcorder-builder-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const never = new AbortController().signal;

/** How a build ends whose builder was taken over, writes an ISF and prints a text. */
async function buildBy(printed: string) {
  const output = join(home, 'output');
  const script = 'printf "an ISF" > "$1" && printf "%s" "$2"';
  const takenOver: Confine = () => ['sh', '-c', script, 'sh', output, printed];
  return await buildIsf({ kind: 'elf', path: '/nothing' }, { banner: '', release: '' }, output, takenOver, never);
}

const summary = { banner: 'Linux version 6.1', bannerTold: false, remarks: ['one'] };

test('size and digest are those of the file, whatever a builder that was taken over says they are', async () => {
  const lie = { kind: 'built', summary, sha256: '../../ca', sizeBytes: -1 };
  const end = await buildBy(JSON.stringify(lie));
  const sha256 = createHash('sha256').update('an ISF').digest('hex');
  expect(end).toEqual({ kind: 'built', ...summary, sha256, sizeBytes: 6 });
  expect(await readFile(join(home, 'output'), 'utf8')).toBe('an ISF');
});

test.each<[string, unknown]>([
  ['null', null],
  ['a list', []],
  ['no kind', {}],
  ['a kind that there is not', { kind: 'failed', problem: 'x' }],
  ['a refusal without a reason', { kind: 'refused' }],
  ['a reason that is no text', { kind: 'refused', problem: { x: 1 } }],
  ['no summary', { kind: 'built' }],
  ['a summary that is no object', { kind: 'built', summary: 'x' }],
  ['a banner that is no text', { kind: 'built', summary: { ...summary, banner: { length: 1 } } }],
  ['a banner without end', { kind: 'built', summary: { ...summary, banner: 'x'.repeat(5_000) } }],
  ['bannerTold that is no boolean', { kind: 'built', summary: { ...summary, bannerTold: 'no' } }],
  ['remarks that are no list', { kind: 'built', summary: { ...summary, remarks: 'one' } }],
  ['a remark that is no text', { kind: 'built', summary: { ...summary, remarks: [1] } }],
  ['remarks without end', { kind: 'built', summary: { ...summary, remarks: Array(101).fill('x') } }],
])('a build whose builder prints %s has failed', async (_, end) => {
  expect(await buildBy(JSON.stringify(end))).toMatchObject({ kind: 'failed' });
});

test.each([
  ['nothing', ''],
  ['no JSON', '{"kind":'],
  ['lists in lists', `${'['.repeat(50_000)}${']'.repeat(50_000)}`],
])('a build whose builder prints %s has failed', async (_, printed) => {
  expect(await buildBy(printed)).toMatchObject({ kind: 'failed' });
});

test('what the builder itself says is taken', async () => {
  const refused = { kind: 'refused', problem: '.debug_info at 0x0: ends too early' };
  expect(await buildBy(JSON.stringify(refused))).toEqual(refused);
});

test('sentences without end are cut', async () => {
  const long = 'x'.repeat(5_000);
  const built = { kind: 'built', summary: { ...summary, remarks: [long] } };
  expect(await buildBy(JSON.stringify(built))).toMatchObject({ remarks: ['x'.repeat(4_096)] });
  await rm(join(home, 'output'));
  const refused = { kind: 'refused', problem: long };
  expect(await buildBy(JSON.stringify(refused))).toEqual({ kind: 'refused', problem: 'x'.repeat(4_096) });
});
