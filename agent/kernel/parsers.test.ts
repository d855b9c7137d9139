import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fuzzRuns } from '../../tools/fuzz-runs.ts';
import { parseLogLink } from '../containers.ts';
import { elfCore, elfNote } from '../testing/system-tree.ts';
import { parseBuildId } from './build-id.ts';
import { checkCapabilities } from './capability.ts';
import { elfNotes } from './elf-notes.ts';
import { parseIomem } from './iomem.ts';
import { parseLockdown } from './lockdown.ts';
import { parseMountinfo } from './mountinfo.ts';
import { cosBuildId } from './os-release.ts';
import { readVmcoreinfo } from './vmcoreinfo.ts';

const readerOf = (file: Buffer) => (position: bigint, length: number) => {
  if (position > BigInt(file.length)) return Buffer.alloc(0);
  return file.subarray(Number(position), Number(position) + length);
};

test.each([
  ['none is chosen', '[none] integrity confidentiality\n', 'none'],
  ['integrity is chosen', 'none [integrity] confidentiality\n', 'integrity'],
  ['confidentiality is chosen', 'none integrity [confidentiality]\n', 'confidentiality'],
  ['the file is empty', '', 'unknown'],
  ['the kernel knows a state that we do not', 'none [paranoia]\n', 'unknown'],
])('lockdown when %s', (_, text, expected) => {
  expect(parseLockdown(text)).toBe(expected);
});

test.each([
  ['a COS image', 'ID=cos\nBUILD_ID=18613.0.0\n', '18613.0.0'],
  ['quotes', 'ID="cos"\nBUILD_ID="18613.0.0"\n', '18613.0.0'],
  ['another system with a BUILD_ID', 'ID=arch\nBUILD_ID=rolling\n', ''],
  ['a COS image without one', 'ID=cos\n', ''],
])('COS BUILD_ID of %s', (_, text, expected) => {
  expect(cosBuildId(text)).toBe(expected);
});

test.each([
  [
    'another owner comes first',
    [elfNote('Xen', 3, Buffer.from('00', 'hex')), elfNote('GNU', 3, Buffer.from('abcd', 'hex'))],
    'abcd',
  ],
  [
    'another GNU note comes first',
    [elfNote('GNU', 1, Buffer.alloc(16)), elfNote('GNU', 3, Buffer.from('abcd', 'hex'))],
    'abcd',
  ],
  [
    'a note aligned to 8 bytes comes first',
    [
      elfNote('Xen', 7, Buffer.from('2.6\0')),
      Buffer.alloc(4),
      elfNote('GNU', 5, Buffer.alloc(16, 2)),
      elfNote('GNU', 3, Buffer.from('abcd', 'hex')),
    ],
    'abcd',
  ],
  ['a gap is filled with many zeros', [Buffer.alloc(4096), elfNote('GNU', 3, Buffer.from('abcd', 'hex'))], 'abcd'],
  ['there are only zeros', [Buffer.alloc(4099)], ''],
  ['there is none', [elfNote('Linux', 0, Buffer.alloc(4))], ''],
  ['the section is cut in the middle of it', [elfNote('GNU', 3, Buffer.alloc(20, 1)).subarray(0, 25)], ''],
])('build-id when %s', (_, notes, expected) => {
  expect(parseBuildId(Buffer.concat(notes))).toBe(expected);
});

const id = 'ab'.repeat(32);
const uid = 'd53cf4d2-f218-4b5b-a270-60b126f8b602';
test.each([
  [
    'a pod',
    `checkout_shop_web-${id}.log`,
    `/var/log/pods/shop_checkout_${uid}/web/0.log`,
    { podName: 'checkout', containerName: 'web' },
  ],
  [
    'dashes in the names',
    `a-b_n-s_c-d-${id}.log`,
    `/var/log/pods/n-s_a-b_${uid}/c-d/3.log`,
    { podNamespace: 'n-s', podName: 'a-b', containerName: 'c-d' },
  ],
  ['a target of another pod', `checkout_shop_web-${id}.log`, `/var/log/pods/shop_other_${uid}/web/0.log`, undefined],
  ['no container id', 'checkout_shop_web.log', `/var/log/pods/shop_checkout_${uid}/web/0.log`, undefined],
  ['a target elsewhere', `checkout_shop_web-${id}.log`, '/dev/null', undefined],
])('log link of %s', (_, name, target, expected) => {
  const container = parseLogLink(name, target);
  if (expected === undefined) expect(container).toBeUndefined();
  else expect(container).toMatchObject({ ...expected, podUid: uid, containerId: id });
});

describe('log links of long names, as the kubelet cuts them', () => {
  const linkOf = (podName: string, podNamespace: string, containerName: string) => ({
    name: `${`${podName}_${podNamespace}_${containerName}-${id}`.slice(0, 255 - '.log'.length)}.log`,
    target: `/var/log/pods/${podNamespace}_${podName}_${uid}/${containerName}/0.log`,
    whole: { podNamespace, podName, podUid: uid, containerName },
  });

  test.each<[string, string, string, string]>([
    ['the last digit of the id', 'p'.repeat(170), 'shop', 'c'.repeat(11)],
    ['the whole id', 'p'.repeat(200), 'n'.repeat(17), 'c'.repeat(31)],
    ['the dash before the id', 'p'.repeat(200), 'n'.repeat(17), 'c'.repeat(32)],
    ["half of the container's name, the folder as long as it may be", 'p'.repeat(154), 'n'.repeat(63), 'c-'.repeat(31)],
  ])('cut by %s: what is whole is named', (_, ...names) => {
    const { name, target, whole } = linkOf(...names);
    expect(name.length).toBe(255);
    expect(parseLogLink(name, target)).toEqual({ ...whole, containerId: '' });
  });

  test('one that just fits has its id', () => {
    const { name, target, whole } = linkOf('p'.repeat(170), 'shop', 'c'.repeat(10));
    expect(name.length).toBe(255);
    expect(parseLogLink(name, target)).toEqual({ ...whole, containerId: id });
  });

  const { name, target } = linkOf('p'.repeat(200), 'n'.repeat(17), 'web');
  test.each([
    ['a short name without an id', 'checkout_shop_web-abab.log', `/var/log/pods/shop_checkout_${uid}/web/0.log`],
    ['a cut name of another pod', name.replace('p', 'q'), target],
    ['a cut name of another container', name, target.replace('/web/', '/wet/')],
    ['a cut name with something else for an id', name.replace('-ab', '-xy'), target],
    [
      'a folder whose uid is cut',
      `${`${'p'.repeat(155)}_${'n'.repeat(63)}_web-${id}`.slice(0, 251)}.log`,
      `/var/log/pods/${'n'.repeat(63)}_${'p'.repeat(155)}_${uid.slice(0, 35)}/web/0.log`,
    ],
  ])('%s is none', (_, otherName, otherTarget) => {
    expect(parseLogLink(otherName, otherTarget)).toBeUndefined();
  });
});

describe('whatever the system shows, no parser fails', () => {
  const runs = { numRuns: fuzzRuns(2_000) };
  const bytes = fc.uint8Array({ maxLength: 600 }).map((content) => Buffer.from(content));
  const line = fc.oneof(
    fc.string(),
    fc.constantFrom(
      '00001000-0009fbff : System RAM',
      '0-0 : System RAM',
      'ffffffffffffffff-0 : System RAM',
      ' - ',
      '22 1 0:21 / /proc rw - proc proc rw',
      '1 2 3 4 5 6 - ',
      'CapEff:\tzz',
      'ID=cos',
      '\\777',
    ),
  );
  const text = fc.array(line, { maxLength: 20 }).map((lines) => lines.join('\n'));

  test('ELF notes', () => {
    const note = fc
      .tuple(fc.string({ maxLength: 12 }), fc.nat(10), bytes)
      .map(([name, type, content]) => elfNote(name, type, content));
    fc.assert(
      fc.property(
        fc.oneof(
          bytes,
          fc.tuple(note, bytes).map((parts) => Buffer.concat(parts)),
        ),
        (section) => {
          const found = [...elfNotes(section)];
          expect(found.length).toBeLessThanOrEqual(section.length / 12);
          expect(parseBuildId(section)).toMatch(/^([0-9a-f]{2})*$/);
        },
      ),
      runs,
    );
  });

  test('kcore: a valid one with bytes overwritten', () => {
    const core = elfCore(elfNote('VMCOREINFO', 0, Buffer.from('OSRELEASE=6.1\n')));
    expect(readVmcoreinfo(readerOf(core))).toBe('OSRELEASE=6.1\n');
    const overwrite = fc.array(fc.tuple(fc.nat(core.length - 1), fc.nat(255)), { maxLength: 12 });
    fc.assert(
      fc.property(overwrite, fc.nat(core.length), (writes, length) => {
        const changed = Buffer.from(core);
        for (const [at, value] of writes) changed[at] = value;
        expect(readVmcoreinfo(readerOf(changed.subarray(0, length))).length).toBeLessThanOrEqual(core.length);
      }),
      runs,
    );
  });

  test('iomem', () => {
    fc.assert(
      fc.property(text, (content) => {
        const { ranges, hidden } = parseIomem(content);
        expect(ranges.every(({ start, end }) => end > start)).toBe(true);
        expect(hidden).toBe(ranges.length === 0);
      }),
      runs,
    );
  });

  test('mountinfo, status, uid_map, os-release, lockdown', () => {
    fc.assert(
      fc.property(text, (content) => {
        expect(parseMountinfo(content).every(({ mountPoint }) => mountPoint !== '')).toBe(true);
        expect(checkCapabilities(content, content)).toBeDefined();
        cosBuildId(content);
        parseLockdown(content);
      }),
      runs,
    );
  });

  test('names and targets of log links', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (name, target) => {
        expect(parseLogLink(name, target)).toBeUndefined();
      }),
      runs,
    );
  });
});
