import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { copyFile, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Process } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAnalysis } from '../../collector/analysis/analyze.ts';
import { pluginTable } from '../../collector/analysis/plugins.ts';
import { defaultPlugins, profiles } from '../../collector/analysis/profiles.ts';
import { readColumn, readProcesses } from '../../collector/analysis/results.ts';
import type { PluginSpec } from '../../collector/capture/capture.ts';
import { openFile } from '../../collector/store/file-source.ts';
import { openFrames } from '../../collector/store/frames/open-frames.ts';
import { packImage } from '../../collector/store/frames/pack.ts';
import { globals } from '../../isf/btf/globals.ts';
import { buildFromKernel } from '../../isf/build-from-kernel.ts';
import { repoDir } from '../../tools/setup/cache.ts';
import { ensureVolatility } from '../../tools/setup/volatility.ts';
import { kcorder } from '../../tools/stage/command-line.ts';
import { acceleratedPlugins, differingAccelerated } from '../kernels/accelerated.ts';
import { differingPlugins, disagreementsOn, isfOfVmlinux, untypedGlobals } from '../kernels/prove-kernel.ts';
import { type ListedProcess, recallOf } from '../kernels/recall.ts';
import { ensureRecording, type KeptRecording } from '../kernels/record.ts';
import { recordedNode } from '../kernels/recorded.ts';
import { type Analyzed, analyzeAgain, type ReplayedNode, replay } from '../kernels/replay.ts';
import { failedUnlessSmeared } from '../kernels/smeared.ts';
import { isSameType } from './same-type.ts';

const never = new AbortController().signal;
const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

/**
 * One image of Debian 12's kernel and one, with 5-level paging, of the newest that Debian offers, read with the symbols of the node's own kernel and with
 * ours from its vmlinux. Nodes are booted only for what has changed since they were recorded; from there on all is done anew.
 */
describe.each([
  { series: '6.1', la57: false },
  { series: 'newest', la57: true },
])('the image of a node with kernel $series', ({ series, la57 }) => {
  let dir: string;
  let recording: KeptRecording;
  let node: ReplayedNode;
  let btf: Analyzed;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'kcorder-rows-'));
    recording = await ensureRecording(recordedNode(series, la57));
    node = await replay(recording);
    btf = await analyzeAgain(node, node.btfPath, join(dir, 'btf'));
  }, 1_200_000);

  afterAll(async () => {
    await node?.[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true, force: true });
  });

  test('shows every process that lived through the capture, in its pod and with its start time', async () => {
    const { stdout, stderr, exitCode } = await kcorder(node.rig.context, ['ps', node.name, '-o', 'json']);
    expect(exitCode, stderr).toBe(0);
    const { processes } = JSON.parse(stdout) as { processes: ListedProcess[] };
    const recall = recallOf(recording.lived, processes);
    expect(recall).toMatchObject({ missing: [], misplaced: [], undated: [] });
    expect(processes.filter(({ hidden }) => hidden === true)).toEqual([]);
    expect(recall.lived).toBeGreaterThan(40);
    expect(recall.inPods).toBeGreaterThan(5);
    expect(node.job.kernel.vmcoreinfo).toContain(`NUMBER(pgtable_l5_enabled)=${la57 ? 1 : 0}\n`);
  });

  test('gives the same rows with symbols of the node and of its vmlinux, for every plugin that the product runs', async () => {
    const isolation = { confined: { level: 'full' } };
    expect(btf.report, btf.report.detail).toMatchObject({ state: 'done', kernelMismatch: false, isolation });
    expect(failedUnlessSmeared(btf.report.plugins)).toEqual([]);
    expect(btf.report.plugins.map(({ name }) => name)).toEqual(defaultPlugins);
    expect(btf.rows.get('linux.pslist.PsList')?.length).toBeGreaterThan(40);
    const dwarfPath = await isfOfVmlinux(node, series, dir);
    // a series without -dbg leaves nothing to compare with
    if (dwarfPath === undefined) return;
    expect(differingPlugins(btf, await analyzeAgain(node, dwarfPath, join(dir, 'dwarf')))).toEqual([]);
  });

  test('shows the threads, modules and mounts that drgn finds with the DWARF of the kernel, and no others', async () => {
    expect((await disagreementsOn(node, series, dir)) ?? []).toEqual([]);
  });

  test('gives what every plugin of Volatility lists, also those of no profile', async () => {
    const base = String((await readColumn(join(dir, 'btf'), btf.report, 'linux.lsmod.Lsmod', 'Offset'))[0]);
    const named: PluginSpec[] = [
      { name: 'linux.vmaregexscan.VmaRegExScan', arguments: { pid: '1', pattern: 'PATH=[^\\x00]+' } },
      { name: 'linux.vmayarascan.VmaYaraScan', arguments: { pid: '1', yara_string: 'PATH=' } },
      { name: 'linux.kallsyms.Kallsyms', arguments: {} },
      { name: 'linux.module_extract.ModuleExtract', arguments: { base } },
      { name: 'linux.pagecache.InodePages', arguments: { find: '/etc/passwd' } },
      { name: 'linux.pagecache.RecoverFs', arguments: { tmpfs_only: 'true' } },
    ];
    const all = await analyzeAgain(node, node.btfPath, join(dir, 'all'), {
      plugins: [...profiles.deep, ...named],
    });
    const { plugins } = all.report;
    expect(plugins.map(({ name }) => name).sort()).toEqual(pluginTable.map(({ name }) => name).sort());
    expect(failedUnlessSmeared(plugins)).toEqual([]);
    expect(plugins.filter(({ state }) => state === 'unsupported')).toEqual([]);
    const found = plugins.filter(({ state }) => state === 'rows').map(({ name }) => name);
    for (const { name } of named) expect(found).toContain(name);
  });

  test('gives the same rows, byte for byte, when the packed image is read by ranges; and no rows of what is damaged', async () => {
    const packed = join(dir, 'image.lime.zst');
    await packImage(node.imagePath, packed, never);
    const tool = spawnSync('zstd', ['-dc', packed], { maxBuffer: 2 ** 30 });
    if (tool.error === undefined) expect(tool.stdout.equals(readFileSync(node.imagePath))).toBe(true);
    const { job, btfPath } = node;
    const symbols = { isfPath: btfPath, isfSha256: sha256(btfPath), source: 'btf', quality: 'btf' } as const;
    const analysis = createAnalysis({
      python: await ensureVolatility(),
      entry: join(repoDir, 'collector/analysis/volatility/run.py'),
    });
    const read = async (outputDir: string) => {
      await using source = await openFrames(await openFile(packed, 'the packed image'), packed);
      return await analysis.analyze({ ...job, image: { kind: 'ranges', source }, symbols, outputDir }, never);
    };
    const report = await read(join(dir, 'ranges'));
    expect(report.plugins.map(({ name, state, rowCount }) => ({ name, state, rowCount }))).toEqual(
      btf.report.plugins.map(({ name, state, rowCount }) => ({ name, state, rowCount })),
    );
    for (const { name, state } of report.plugins) {
      if (state !== 'rows') continue;
      const [ours, theirs] = ['ranges', 'btf'].map((folder) => readFileSync(join(dir, folder, `${name}.jsonl`)));
      expect(ours?.equals(theirs as Buffer), name).toBe(true);
    }
    const content = readFileSync(packed);
    content.fill(0, content.length >>> 2, content.length - 100_000);
    writeFileSync(packed, content);
    const damaged = await read(join(dir, 'damaged'));
    expect(damaged).toMatchObject({
      state: 'failed',
      reason: 'image_unreadable',
      detail: expect.stringContaining(packed),
    });
    expect(damaged.plugins.filter(({ state }) => state === 'empty')).toEqual([]);
  });

  test('gives the same rows, byte for byte, without what makes it fast', async () => {
    expect(await differingAccelerated(node, node.btfPath, dir, acceleratedPlugins)).toEqual([]);
  });

  test('tells a module and processes that were taken off the lists of the kernel, and no others, and has every process of a torn task list', async () => {
    const copy = join(dir, 'altered.lime');
    await copyFile(node.imagePath, copy);
    const { job, btfPath } = node;
    const entry = join(repoDir, 'collector/analysis/volatility');
    const script = join(import.meta.dirname, 'alter-image.py');
    const hidden = JSON.parse(
      execFileSync(await ensureVolatility(), ['-B', script, entry, copy], {
        input: JSON.stringify({ isfPath: btfPath, isfSha256: sha256(btfPath), ...job.kernel }),
        encoding: 'utf8',
      }),
    ) as { module: string; poisoned: number[]; bridged: number[]; unnumbered: number[] };
    const outputDir = join(dir, 'altered');
    const plugins = ['hiddenModules', 'processes', 'linux.pslist.PsList'];
    const altered = { job: { ...job, image: { kind: 'lime', path: copy } as const } };
    const { report } = await analyzeAgain(altered, btfPath, outputDir, { plugins });
    expect(await readColumn(outputDir, report, 'hiddenModules', 'name')).toEqual([hidden.module]);
    const { poisoned, bridged, unnumbered } = hidden;
    const processes = await readProcesses(outputDir, report);
    const pidsOf = (those: (process: Process) => boolean) => processes.filter(those).map(({ pid }) => pid);
    expect(pidsOf(({ inTaskList }) => inTaskList === false)).toEqual(expect.arrayContaining([...poisoned, ...bridged]));
    expect(pidsOf(({ inPidTable }) => inPidTable === false).sort()).toEqual(unnumbered.sort());
    const told = pidsOf((process) => process.hidden);
    expect(told.filter((pid) => ![...poisoned, ...bridged, ...unnumbered].includes(pid))).toEqual([]);
    expect(told).toEqual(expect.arrayContaining(poisoned));
    // Of some of them the image is as if they had ended or begun.
    expect(told.filter((pid) => bridged.includes(pid)).length).toBeGreaterThan(1);
    for (const [plugin, column] of [
      ['processes', 'pid'],
      ['linux.pslist.PsList', 'PID'],
    ] as const) {
      const found = new Set(await readColumn(outputDir, report, plugin, column));
      const known = await readColumn(join(dir, 'btf'), btf.report, plugin, column);
      expect(known.filter((pid) => !found.has(pid))).toEqual([]);
      expect(report.plugins.find(({ name }) => name === plugin)?.warnings.join()).toMatch(
        /^The task list is broken in this image \(smear or tampering\): \d+ were found by the table of PIDs instead/,
      );
    }
  });

  test('has the symbols that another boot of the kernel gives, byte for byte', async () => {
    const { treeDir, againDir } = recording;
    const [boot, otherBoot] = [treeDir, againDir].map((tree) => readFileSync(join(tree, 'bootId'), 'utf8'));
    expect(otherBoot).not.toBe(boot);
    expect(digestOfTree(againDir)).toBe(sha256(node.btfPath));
  });

  test('puts every symbol of the node where the vmlinux has it, and types what is known by name as its DWARF does', async () => {
    const peerPath = await isfOfVmlinux(node, series, dir);
    if (peerPath === undefined) return;
    const [ours, peer] = [node.btfPath, peerPath].map(
      (path) =>
        JSON.parse(readFileSync(path, 'utf8')) as { symbols: Record<string, { address: number; type: unknown }> },
    );
    if (ours === undefined || peer === undefined) throw new Error('an ISF is missing');
    const typed = Object.keys(globals).filter((name) => ours.symbols[name] !== undefined);
    expect(typed.length).toBeGreaterThan(60);
    expect(await untypedGlobals(node, series)).toEqual([]);
    // How large the log is says only the size of its variable, which kallsyms does not have.
    const differing = typed.filter((name) => !isSameType(ours.symbols[name]?.type, peer.symbols[name]?.type));
    expect(differing.filter((name) => name !== '__log_buf')).toEqual([]);
    expect(typed.filter((name) => ours.symbols[name]?.address !== peer.symbols[name]?.address)).toEqual([]);
    // Static ones share names, and of some of these others count: 40 of 82,000 with 6.1, 20 of 148,000 with 6.12.
    const others = Object.keys(ours.symbols).filter(
      (name) => ours.symbols[name]?.address !== peer.symbols[name]?.address,
    );
    expect(others.length).toBeLessThan(Object.keys(ours.symbols).length / 1000);
  });
});

/** SHA-256 of the ISF of what a node's kernel told, read from its own files. */
function digestOfTree(tree: string): string {
  const read = (name: string): Buffer => readFileSync(join(tree, name));
  const [banner = '', release = ''] = ['banner', 'release'].map((name) => read(name).toString().trimEnd());
  const [, offset] = /^KERNELOFFSET=([0-9a-f]+)$/m.exec(read('kcore').toString('latin1')) ?? [];
  const kernelOffset = BigInt(`0x${offset}`);
  const hash = createHash('sha256');
  const input = { btf: read('btf'), moduleBtf: [], kallsyms: read('kallsyms'), kernelOffset, banner, release };
  buildFromKernel(input, (bytes) => {
    hash.update(bytes);
  });
  return hash.digest('hex');
}
