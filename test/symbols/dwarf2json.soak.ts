import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { contentOf, differences, digestsOf } from '../../isf/fixtures/canonical.ts';
import fixtures from '../../isf/fixtures/golden.json' with { type: 'json' };
import { ensureIsf } from '../../tools/setup/isf.ts';
import { ensureKernel } from '../../tools/setup/kernel.ts';
import { ensureVmlinux } from '../../tools/setup/vmlinux.ts';
import { differingPlugins, isfOfVmlinux } from '../kernels/prove-kernel.ts';
import { ensureRecording } from '../kernels/record.ts';
import { recordedNode } from '../kernels/recorded.ts';
import { analyzeAgain, replay } from '../kernels/replay.ts';
import { knownFaults, lines, Workshop } from './compiled.ts';
import { contentByDwarf2json, contentByUs } from './dwarf2json.ts';
import kernels from './golden.json' with { type: 'json' };
import programs from './golden-programs.json' with { type: 'json' };

// CI compares with golden digests of what dwarf2json makes; here with dwarf2json itself, and it with the digests.

const fixtureDir = join(import.meta.dirname, '../../isf/fixtures');
let workshop: Workshop;
beforeAll(async () => {
  workshop = await Workshop.open();
});
afterAll(() => workshop[Symbol.dispose]());

test.each(Object.entries(fixtures))('the digests of fixture %s are those of dwarf2json', async (name, digests) => {
  expect(digestsOf(await contentByDwarf2json(join(fixtureDir, `${name}.elf`)))).toEqual(digests);
});

test('the digests of programs are of compilers that are here, and those of dwarf2json', async () => {
  const digests: Record<string, object> = {};
  for (const line of new Set([...lines, ...knownFaults.map(({ plain }) => plain)]))
    digests[line] = digestsOf(await contentByDwarf2json(await workshop.compile(line)));
  // Whoever has other compilers puts what is found here into the file.
  expect({ tools: await workshop.tools(), digests }).toEqual(programs);
});

test.each(lines)('%s gives what dwarf2json gives', async (line) => {
  const path = await workshop.compile(line);
  expect(differences(await contentByDwarf2json(path), contentByUs(path, { likeDwarf2json: true }))).toEqual([]);
});

test.each(knownFaults)('dwarf2json cannot read $line yet: $why', async ({ line }) => {
  const path = await workshop.compile(line);
  const theirs = await contentByDwarf2json(path).catch(() => undefined);
  // once this fails, dwarf2json has been mended
  expect(theirs && differences(theirs, contentByUs(path, { likeDwarf2json: true }))).not.toEqual([]);
});

test.each(['6.1', '6.12'])('the ISF of Debian %s is that of dwarf2json, and so are its digests', async (series) => {
  const kernel = await ensureKernel(series);
  const expected = contentOf(readFileSync(await ensureIsf(kernel), 'utf8'));
  expect(differences(expected, contentByUs(await ensureVmlinux(kernel), { likeDwarf2json: true }))).toEqual([]);
  const digests = new Map(Object.entries(kernels)).get(kernel.release);
  if (digests) expect(digestsOf(expected)).toEqual(digests);
});

test("an image of Debian 6.1 gives the same rows with dwarf2json's symbols as with ours, for every plugin", async () => {
  const dir = mkdtempSync(join(tmpdir(), 'kcorder-dwarf2json-'));
  const recording = await ensureRecording(recordedNode('6.1', false));
  await using node = await replay(recording);
  try {
    const dwarfPath = (await isfOfVmlinux(node, '6.1', dir)) ?? '';
    const dwarf = await analyzeAgain(node, dwarfPath, join(dir, 'dwarf'));
    const peer = await analyzeAgain(node, await ensureIsf(await ensureKernel('6.1')), join(dir, 'peer'));
    expect(differingPlugins(peer, dwarf)).toEqual([]);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
