import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BtfWriter, smallKallsyms, smallKernel } from '@kcorder/isf/testing/btf-writer.ts';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runCommand, type Surroundings } from '../fixtures/command.ts';

const fixture = (name: string) => fileURLToPath(new URL(`../../isf/fixtures/${name}.elf`, import.meta.url));

let dir: string;
let file: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kcorder-build-'));
  file = join(dir, 'kernel.json');
});
afterEach(() => rmSync(dir, { recursive: true }));

const build = (args: readonly string[], surroundings: Surroundings = {}) =>
  runCommand(['symbols', 'build', ...args], surroundings);

test('an ELF file with DWARF becomes an ISF, for the owner alone, without a collector', async () => {
  const ran = await build([fixture('gcc-dwarf5'), '-o', file]);
  const bytes = readFileSync(file);
  const isf = JSON.parse(bytes.toString());
  const count = (section: string): number => Object.keys(isf[section]).length;
  const lines = ran.stdout.split('\n').map((line) => line.replace(/ +/, ' '));
  expect(lines.slice(0, -2)).toEqual([
    `file ${file}`,
    'banner Linux version 0.0.0-fixture',
    `types ${count('user_types')} (and ${count('base_types')} base types)`,
    `enums ${count('enums')}`,
    `symbols ${count('symbols')}`,
    `size ${(bytes.length / 1024).toFixed(1)} KiB`,
    `sha-256 ${createHash('sha256').update(bytes).digest('hex')}`,
  ]);
  expect(lines.at(-2)).toMatch(/^seconds \d+\.\d$/);
  expect(ran.exit).toBe(0);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readdirSync(dir)).toEqual(['kernel.json']);
});

test("a running kernel's own files become an ISF of its link addresses, and what has no type is a warning", async () => {
  const kernel = smallKernel();
  const module = new BtfWriter(kernel.nextId, kernel.stringsEnd);
  module.struct('ext4_inode', 8, [{ name: 'block', type: 1, offsetBits: 0 }]);
  const write = (name: string, bytes: Buffer | string): string => {
    writeFileSync(join(dir, name), bytes);
    return join(dir, name);
  };
  const ran = await build([
    ...['--btf', write('vmlinux.btf', kernel.bytes()), '--kallsyms', write('kallsyms', smallKallsyms)],
    ...['--module-btf', write('ext4.btf', module.bytes()), '--kernel-offset', '0x1a000000'],
    ...['--banner', 'Linux version 6.1.0-small\n', '--release', '6.1.0-small', '-o', file],
  ]);
  const isf = JSON.parse(readFileSync(file, 'utf8'));
  expect(isf.user_types).toHaveProperty('ext4_inode');
  expect(isf.symbols._stext.address).toBe(Number(0xffff_ffff_8100_0000n));
  expect(ran.stdout).toContain('banner       Linux version 6.1.0-small\n');
  expect(ran.stderr).toMatch(/warning: .*prb has no type/);
  expect(ran.exit).toBe(0);
});

test('-o in front of the command is a form, and behind it a file', async () => {
  const ran = await runCommand(['-o', 'json', 'symbols', 'build', fixture('gcc-dwarf5'), '-o', file]);
  expect(JSON.parse(ran.stdout)).toMatchObject({
    file,
    banner: 'Linux version 0.0.0-fixture',
    sha256: createHash('sha256').update(readFileSync(file)).digest('hex'),
    sizeBytes: statSync(file).size,
  });
});

test('--like-dwarf2json has its faults too', async () => {
  await build([fixture('gcc-dwarf5'), '-o', file]);
  const mended = readFileSync(file);
  rmSync(file);
  expect((await build([fixture('gcc-dwarf5'), '--like-dwarf2json', '--output', file])).exit).toBe(0);
  expect(readFileSync(file).equals(mended)).toBe(false);
});

test('a banner stands in where the file has none; without one a warning says what follows', async () => {
  const without = await build([fixture('debug-only'), '-o', file]);
  expect(without.stderr).toContain(
    `warning: ${file} does not say which kernel it is of, so that no Volatility finds it`,
  );
  expect(without.exit).toBe(0);
  rmSync(file);
  const given = await build([fixture('debug-only'), '--banner', 'Linux version 6.1.0\x1b[2J', '-o', file]);
  expect(given.stdout).toContain('banner       Linux version 6.1.0\\x1b[2J\n');
  expect(given.stderr).not.toContain('warning');
});

test.each([
  ['no debugging information', () => [fixture('no-debug')], /no ISF can be built from .*no-debug\.elf: \.debug_info: /],
  [
    'no ELF file',
    () => {
      writeFileSync(join(dir, 'bad'), 'this is a text');
      return [join(dir, 'bad')];
    },
    /: this is not an ELF file\. Give the vmlinux with debugging information of exactly this kernel\.\n$/,
  ],
  [
    'a file that is cut',
    () => {
      writeFileSync(join(dir, 'bad'), readFileSync(fixture('gcc-dwarf5')).subarray(0, 3000));
      return [join(dir, 'bad')];
    },
    /no ISF can be built from .*bad: .*\. Give the vmlinux with debugging information of exactly this kernel\.\n$/,
  ],
  ['a directory', () => [dir], /: it is a directory\. Name a file that you may read\.\n$/],
  ['nothing', () => [join(dir, 'nope')], /cannot read .*nope: no such file or directory\. Name a file/],
  [
    'no BTF',
    () => {
      writeFileSync(join(dir, 'bad'), 'this is a text');
      return ['--btf', join(dir, 'bad'), '--kallsyms', join(dir, 'bad'), '--banner', 'b', '--release', 'r'];
    },
    /no ISF can be built from .*bad, .*bad: .*\. Give whole files, all of one boot of this kernel\.\n$/,
  ],
])('of %s nothing is made and nothing is left', async (_what, input, expected) => {
  const given = input();
  const before = readdirSync(dir);
  const ran = await build([...given, '-o', file]);
  expect(ran.stderr).toMatch(expected);
  expect(ran.stdout).toBe('');
  expect(ran.exit).toBe(2);
  expect(readdirSync(dir)).toEqual(before);
});

test.each(['kernel.json', 'kernel.json.part'])('%s is never overwritten', async (name) => {
  writeFileSync(join(dir, name), 'mine');
  const ran = await build([fixture('gcc-dwarf5'), '-o', file]);
  expect(ran.stderr).toBe(
    `kcorder: ${join(dir, name)} is there already and is not overwritten. Choose another name with -o, or move it away.\n`,
  );
  expect(ran.exit).toBe(1);
  expect(readFileSync(join(dir, name), 'utf8')).toBe('mine');
});

test('a directory that is not there is named', async () => {
  const ran = await build([fixture('gcc-dwarf5'), '-o', join(dir, 'nowhere', 'k.json')]);
  expect(ran.stderr).toContain('k.json.part: no such file or directory. Choose another place with -o.\n');
  expect(ran.exit).toBe(1);
});

test('an interrupted build leaves nothing', async () => {
  const ran = await build([fixture('gcc-dwarf5'), '-o', file], { interrupt: AbortSignal.abort() });
  expect(ran.stderr).toMatch(/kcorder: interrupted\.\n$/);
  expect(ran.exit).toBe(130);
  expect(readdirSync(dir)).toEqual([]);
});
