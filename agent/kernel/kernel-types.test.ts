import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { fuzzRuns } from '../../tools/fuzz-runs.ts';
import { makeSystemTree, type TreeChanges, vmcoreinfo } from '../testing/system-tree.ts';
import { describeTypes, readTypes } from './kernel-types.ts';
import { readSymbolList } from './symbol-list.ts';

const folder = mkdtempSync(join(tmpdir(), 'kcorder-types-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let trees = 0;
const tree = (changes: TreeChanges = {}) => makeSystemTree(join(folder, `tree-${++trees}`), changes);

const path = join(folder, 'kallsyms');
function listed(
  kallsyms: string | Buffer,
  kernelOffset = 0x1a00_0000,
): { text: string; symbols: number; hidden: boolean } {
  writeFileSync(path, kallsyms);
  const list = readSymbolList(path, kernelOffset);
  let text = '';
  let step = list.next();
  for (; step.done !== true; step = list.next()) text += step.value.toString('latin1');
  return { text, ...step.value };
}

test.each([
  ['an address of the image', 'ffffffff9b000000 T _stext\n', 'ffffffff81000000 T _stext\n'],
  ['the lowest that KASLR gives', 'ffffffff9a000000 T _text\n', 'ffffffff80000000 T _text\n'],
  ['a per-CPU offset, which KASLR does not move', '000000000001ff00 A runqueues\n', '000000000001ff00 A runqueues\n'],
  ["a module's symbol, which another boot may not have", 'ffffffffc0001000 t ext4_sync\t[ext4]\n', ''],
  ['generated code', 'ffffffffc0ffe000 t bpf_prog_6deef7357e7b4530\t[bpf]\n', ''],
  ['a line without an end', 'ffffffff9b000000 T _stext\nffffffff9b0', 'ffffffff81000000 T _stext\n'],
  ['nothing', '', ''],
])('the symbol list of %s', (_, kallsyms, expected) => {
  expect(listed(kallsyms).text).toBe(expected);
});

test('lines are whole whatever chunk they fall into', () => {
  const line = (index: number) => `ffffffff${(0x9b00_0000 + index).toString(16)} t symbol_${index}\n`;
  const lines = Array.from({ length: 40_000 }, (_, index) => line(index));
  const { text, symbols, hidden } = listed(lines.join(''));
  expect({ symbols, hidden }).toEqual({ symbols: 40_000, hidden: false });
  const moved = lines.map((each) =>
    each.replace(/^[0-9a-f]{16}/, (address) => (BigInt(`0x${address}`) - 0x1a00_0000n).toString(16)),
  );
  expect(text).toBe(moved.join(''));
});

test('pieces are full, though the kernel gives a page at a time', () => {
  const made = tree();
  const pages = (name: string, page: string): string => {
    const fifo = join(folder, name);
    execFileSync('mkfifo', [fifo]);
    spawn('sh', ['-c', `for i in $(seq 40); do printf %s "$1"; done >"$0"`, fifo, page], { stdio: 'ignore' });
    return fifo;
  };
  const lines = 'ffffffff9b000000 T a_symbol_of_64_bytes_with_its_end_yes_it_is1\n'.repeat(64);
  const system = { ...made, btf: pages('btf-pages', 'x'.repeat(4096)), kallsyms: pages('kallsyms-pages', lines) };
  const sizes = { btf: [] as number[], kallsyms: [] as number[] };
  for (const { case: part, value } of readTypes(system, vmcoreinfo)) sizes[part].push(value.length);
  expect(sizes.btf).toEqual([32768, 32768, 32768, 32768, 32768]);
  // Of 40 pages; a read that brings more than fits waits for the next piece.
  expect(sizes.kallsyms.length).toBeLessThan(10);
  expect(sizes.kallsyms.reduce((sum, size) => sum + size, 0)).toBe(40 * 4096);
});

test('whatever stands there, the list is read to its end', () => {
  const seed = fc.stringMatching(/^([0-9a-f]{14,17} [tTdDA] [a-z_\]]{0,6}(\t\[[a-z]{0,3}\])?\n?){0,6}$/);
  fc.assert(
    fc.property(
      fc.oneof(
        seed.map((text) => Buffer.from(text)),
        fc.uint8Array({ maxLength: 200 }).map(Buffer.from),
      ),
      (bytes) => {
        expect(listed(bytes).text.length).toBeLessThanOrEqual(bytes.length);
      },
    ),
    { numRuns: fuzzRuns(2_000) },
  );
});

describe('the digest', () => {
  test('is that of what is sent', () => {
    const system = tree();
    const hashes = { btf: createHash('sha256'), kallsyms: createHash('sha256') };
    for (const { case: part, value } of readTypes(system, vmcoreinfo)) hashes[part].update(value);
    const typesDigest = createHash('sha256').update(hashes.btf.digest()).update(hashes.kallsyms.digest()).digest('hex');
    expect(describeTypes(system, vmcoreinfo)).toEqual({ typesDigest, typesProblem: '' });
  });

  test('is the same for two boots of one kernel, other modules loaded, and another for another kernel', () => {
    const first = describeTypes(tree(), vmcoreinfo);
    const kallsyms = Buffer.from(
      '0000000000000000 A fixed_percpu_data\n000000000001ff00 A runqueues\nffffffffa5000000 T _stext\nffffffffa6123450 D init_task\nffffffffc0201000 t of_another\t[xfs]\n',
    );
    expect(describeTypes(tree({ kallsyms }), 'KERNELOFFSET=24000000\n')).toEqual(first);
    expect(describeTypes(tree({ btf: 'other types' }), vmcoreinfo).typesDigest).not.toBe(first.typesDigest);
  });

  test.each<[string, TreeChanges, string, RegExp]>([
    ['there is no BTF', { btf: null }, vmcoreinfo, /CONFIG_DEBUG_INFO_BTF/],
    ['there is no kallsyms', { kallsyms: null }, vmcoreinfo, /kallsyms cannot be read/],
    [
      'addresses are hidden',
      { kallsyms: '0000000000000000 T _stext\n0000000000000000 D init_task\n' },
      vmcoreinfo,
      /has CAP_SYSLOG, so kernel\.kptr_restrict must be 2; set it to 1 or 0$/,
    ],
    [
      'the capability to see addresses is missing',
      { kallsyms: '0000000000000000 T _stext\n', selfStatus: 'CapEff:\t0000000000220000\n' },
      vmcoreinfo,
      /kallsyms shows no addresses: the agent lacks CAP_SYSLOG; grant it/,
    ],
    ['the offset of the kernel is not known', {}, '', /VMCOREINFO/],
    ['the offset is none that a kernel can have', {}, 'KERNELOFFSET=ffffffff\n', /VMCOREINFO/],
    ['the node is no x86-64', { architecture: 'aarch64' }, vmcoreinfo, /aarch64/],
  ])('is empty and says why when %s', (_, changes, info, why) => {
    expect(describeTypes(tree(changes), info)).toEqual({ typesDigest: '', typesProblem: expect.stringMatching(why) });
  });
});
