import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { elfCore, elfNote, makeSystemTree, vmcoreinfo } from '../testing/system-tree.ts';
import { describeKernel } from './descriptor.ts';

const recorded = join(import.meta.dirname, '../testing/nodes/debian-6.1');
const record = (name: string): Buffer => readFileSync(join(recorded, name));
const dir = (): string => mkdtempSync(join(tmpdir(), 'kcorder-kernel-'));

test('a recorded Debian node is described by what its kernel says', () => {
  const kernel = describeKernel(
    makeSystemTree(dir(), {
      kcore: record('kcore'),
      iomem: record('iomem'),
      kernelNotes: record('notes'),
      banner: record('version'),
      lockdown: record('lockdown'),
      osRelease: record('os-release'),
    }),
  );
  expect(kernel).toMatchObject({
    release: '6.1.0-56-cloud-amd64',
    buildId: expect.stringMatching(/^[0-9a-f]{40}$/),
    architecture: 'x86_64',
    cosBuildId: '',
    lockdown: 'none',
    ramRanges: [
      { start: 0x1000n, end: 0x9fbffn },
      { start: 0x100000n, end: 0x3ffd6fffn },
    ],
  });
  expect(kernel.banner).toMatch(/^Linux version 6\.1\.0-56-cloud-amd64 .*[^\n]$/);
  const fields = new Map(kernel.vmcoreinfo.split('\n').map((line) => line.split('=', 2) as [string, string]));
  expect(fields.get('OSRELEASE')).toBe('6.1.0-56-cloud-amd64');
  expect(fields.get('BUILD-ID')).toBe(kernel.buildId);
  expect(fields.get('KERNELOFFSET')).toMatch(/^[0-9a-f]+$/);
  expect(fields.has('NUMBER(phys_base)')).toBe(true);
  expect(fields.has('SYMBOL(swapper_pg_dir)')).toBe(true);
});

test('a node that shows everything, on Container-Optimized OS', () => {
  expect(describeKernel(makeSystemTree(dir()))).toMatchObject({
    buildId: '7bdad2f33eb86414',
    vmcoreinfo,
    cosBuildId: '18613.0.0',
    bootId: '0f2ac1c2-5c4b-4f0e-9d0e-0123456789ab',
    machineId: '0123456789abcdef0123456789abcdef',
  });
});

const ofVmcoreinfo = `${vmcoreinfo}BUILD-ID=00112233445566778899aabbccddeeff00112233\n`;
const none = elfNote('Linux', 0, Buffer.alloc(4));
test.each([
  ['the notes', undefined, ofVmcoreinfo, '7bdad2f33eb86414'],
  ['VMCOREINFO where the notes have none', none, ofVmcoreinfo, '00112233445566778899aabbccddeeff00112233'],
  ['VMCOREINFO where the notes cannot be read', null, ofVmcoreinfo, '00112233445566778899aabbccddeeff00112233'],
  ['nothing where both have none', none, vmcoreinfo, ''],
  ['nothing where VMCOREINFO has half a byte', none, `${vmcoreinfo}BUILD-ID=00112\n`, ''],
  ['nothing where VMCOREINFO has a name', none, `${vmcoreinfo}BUILD-ID=../../x\n`, ''],
])('the build-id comes from %s', (_, kernelNotes, text, expected) => {
  const kcore = elfCore(elfNote('VMCOREINFO', 0, Buffer.from(text)));
  const changes = kernelNotes === undefined ? { kcore } : { kcore, kernelNotes };
  expect(describeKernel(makeSystemTree(dir(), changes)).buildId).toBe(expected);
});

test('what cannot be read is empty, and nothing fails', () => {
  const nothing = { kcore: null, iomem: null, kernelNotes: null, banner: null, release: null, lockdown: null };
  expect(describeKernel(makeSystemTree(dir(), { ...nothing, osRelease: null, machineId: null, bootId: null }))).toEqual(
    {
      release: '',
      banner: '',
      buildId: '',
      vmcoreinfo: '',
      architecture: 'x86_64',
      cosBuildId: '',
      bootId: '',
      machineId: '',
      lockdown: '',
      ramRanges: [],
      typesDigest: '',
      typesProblem: expect.stringMatching(/VMCOREINFO/),
    },
  );
});

test('hidden addresses give no RAM ranges', () => {
  const iomem = '00000000-00000000 : System RAM\n00000000-00000000 : Reserved\n';
  expect(describeKernel(makeSystemTree(dir(), { iomem })).ramRanges).toEqual([]);
});
