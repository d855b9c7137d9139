import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { copyFile, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openChannel } from '@kcorder/proto/bridge/channel.ts';
import { connect } from '@kcorder/proto/bridge/connect.ts';
import { Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { SymbolsQuality, SymbolsState } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AnalysisJob, type AnalysisReport, defaultPlugins } from '../../collector/analysis/analysis.ts';
import { createAnalysis } from '../../collector/analysis/analyze.ts';
import { readColumn, readRows } from '../../collector/analysis/results.ts';
import { openFile } from '../../collector/evidence/file-source.ts';
import { openFrames } from '../../collector/evidence/frames/open-frames.ts';
import { packImage } from '../../collector/evidence/frames/pack.ts';
import { buildIsf } from '../../collector/symbols/build/builder.ts';
import { globals } from '../../collector/symbols/isf/btf/globals.ts';
import { buildFromKernel } from '../../collector/symbols/isf/build-from-kernel.ts';
import { until } from '../../collector/testing/files.ts';
import { type LabNode, startNode } from '../lab/node.ts';
import { repoDir } from '../setup/cache.ts';
import { ensureIsf } from '../setup/isf.ts';
import { ensureKernel } from '../setup/kernel.ts';
import { ensureVmlinux } from '../setup/vmlinux.ts';
import { ensureVolatility } from '../setup/volatility.ts';
import { Stage } from '../stage/stage.ts';
import differences from './row-differences.json' with { type: 'json' };

const never = new AbortController().signal;
const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

/** One image, read with the symbols that dwarf2json makes, with ours from the same vmlinux, and with those of the node's own kernel. */
describe.each(['6.1', '6.12'])('the image of a node with kernel %s', (series) => {
  let dir: string;
  let stage: Stage;
  let job: Omit<AnalysisJob, 'symbols' | 'outputDir'>;
  let btfPath: string;
  let imagePath: string;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'kcorder-rows-'));
    stage = await Stage.open(join(dir, 'stage'), { kernel: series, env: { KCORDER_SPOOL_SECONDS: '3600' } });
    const name = `rows-${series.replace('.', '-')}`;
    await stage.boot({ name, kernel: series, memoryMiB: 512, pods: true });
    const channel = openChannel(stage.context.address, stage.authority.operator('rows'));
    const operator = connect(OperatorService, channel);
    const node = await until(async () => {
      const { nodes } = await operator.listNodes({});
      return nodes.find(({ online, symbols }) => online && symbols?.state === SymbolsState.READY);
    });
    expect(node.symbols?.quality).toBe(SymbolsQuality.BTF);
    const created = await operator.createCapture({ nodeName: name, reason: 'rows', idempotencyKey: 'rows' });
    const captureId = created.capture?.id ?? '';
    const capture = await until(async () => {
      const { capture: now } = await operator.getCapture({ captureId });
      return now?.phase === Phase.DONE && now;
    });
    channel.close();
    const manifestPath = join(stage.collector.options.dataDir, 'evidence', captureId, 'manifest.json');
    const manifest = JSON.parse(readFileSync(manifestPath, 'utf8')) as {
      node: { kernel: { banner: string; vmcoreinfo: string } };
    };
    const { banner, vmcoreinfo } = manifest.node.kernel;
    imagePath = capture.evidencePath;
    const image = { kind: 'lime', path: imagePath } as const;
    job = { captureId, image, kernel: { banner, vmcoreinfo }, containers: [] };
    btfPath = join(stage.collector.options.dataDir, 'symbols', 'isf', `${node.symbols?.isfSha256}.json`);
  });

  afterAll(async () => {
    await stage?.close();
    rmSync(dir, { recursive: true, force: true });
  });

  async function analyze(isfPath: string, name: string) {
    const python = await ensureVolatility();
    const entry = join(repoDir, 'collector/analysis/volatility/run.py');
    const outputDir = join(dir, name);
    const symbols = { isfPath, isfSha256: sha256(isfPath), source: name, quality: 'provided' } as const;
    const report = await createAnalysis({ python, entry }).analyze({ ...job, symbols, outputDir }, never);
    expect(report, report.detail).toMatchObject({ state: 'done', kernelMismatch: false });
    return { report, rows: await rowsOf(report, outputDir) };
  }

  test('gives the same rows with all three, for every plugin that the product runs', async () => {
    const kernel = await ensureKernel(series);
    const dwarfPath = join(dir, 'dwarf.json');
    const names = { banner: job.kernel.banner, release: kernel.release };
    const built = await buildIsf({ kind: 'elf', path: await ensureVmlinux(kernel) }, names, dwarfPath, never);
    expect(built).toMatchObject({ kind: 'built', banner: job.kernel.banner });
    const peer = await analyze(await ensureIsf(kernel), 'dwarf2json');
    const ours = { dwarf: await analyze(dwarfPath, 'dwarf'), btf: await analyze(btfPath, 'btf') };
    expect(peer.report.plugins.map(({ name }) => name)).toEqual(defaultPlugins);
    expect(peer.rows.get('linux.pslist.PsList')?.length).toBeGreaterThan(40);
    const found: Record<string, string[]> = {};
    for (const [source, { rows }] of Object.entries(ours)) {
      found[source] = defaultPlugins.filter(
        (plugin) => JSON.stringify(rows.get(plugin)) !== JSON.stringify(peer.rows.get(plugin)),
      );
    }
    expect(found).toEqual(differences);
  });

  test('gives the same rows, byte for byte, when the packed image is read by ranges; and no rows of what is damaged', async () => {
    const packed = join(dir, 'image.lime.zst');
    await packImage(imagePath, packed, never);
    const tool = spawnSync('zstd', ['-dc', packed], { maxBuffer: 2 ** 30 });
    if (tool.error === undefined) expect(tool.stdout.equals(readFileSync(imagePath))).toBe(true);
    const plain = await analyze(btfPath, 'plain');
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
      plain.report.plugins.map(({ name, state, rowCount }) => ({ name, state, rowCount })),
    );
    for (const { name, state } of report.plugins) {
      if (state !== 'rows') continue;
      const [ours, theirs] = ['ranges', 'plain'].map((folder) => readFileSync(join(dir, folder, `${name}.jsonl`)));
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

  test('tells a module that has taken itself off the list of the kernel, and no other', async () => {
    const copy = join(dir, 'hidden.lime');
    await copyFile(imagePath, copy);
    const isf = { isfPath: btfPath, isfSha256: sha256(btfPath) };
    const entry = join(repoDir, 'collector/analysis/volatility');
    const python = await ensureVolatility();
    const script = join(import.meta.dirname, 'hide-module.py');
    const hidden = execFileSync(python, ['-B', script, entry, copy], {
      input: JSON.stringify({ ...isf, ...job.kernel }),
      encoding: 'utf8',
    }).trim();
    const outputDir = join(dir, 'hidden');
    const symbols = { ...isf, source: 'btf', quality: 'btf' } as const;
    const image = { kind: 'lime', path: copy } as const;
    const analysis = createAnalysis({ python, entry: join(entry, 'run.py') });
    const report = await analysis.analyze({ ...job, image, symbols, outputDir, plugins: ['hiddenModules'] }, never);
    expect(await readColumn(outputDir, report, 'hiddenModules', 'name')).toEqual([hidden]);
  });

  test('has the symbols that another boot of the kernel gives, byte for byte', async () => {
    const node = await startNode({
      name: `again-${series.replace('.', '-')}`,
      kernel: series,
      memoryMiB: 512,
      pods: false,
    });
    try {
      expect(await digestOfKernel(node, dir)).toBe(sha256(btfPath));
    } finally {
      await node.stop();
    }
  });

  test('puts every symbol of the node where the vmlinux has it, and types what is known by name as dwarf2json does', async () => {
    const [ours, peer] = [btfPath, await ensureIsf(await ensureKernel(series))].map(
      (path) =>
        JSON.parse(readFileSync(path, 'utf8')) as { symbols: Record<string, { address: number; type: unknown }> },
    );
    if (ours === undefined || peer === undefined) throw new Error('an ISF is missing');
    const typed = Object.keys(globals).filter((name) => ours.symbols[name] !== undefined);
    expect(typed.length).toBeGreaterThan(60);
    // How large the log is says only the size of its variable, which kallsyms does not have.
    const differing = typed.filter((name) => named(ours.symbols[name]?.type) !== named(peer.symbols[name]?.type));
    expect(differing.filter((name) => name !== '__log_buf')).toEqual([]);
    expect(typed.filter((name) => ours.symbols[name]?.address !== peer.symbols[name]?.address)).toEqual([]);
    // Static ones share names, and of some of these others count: 40 of 82,000 with 6.1, 20 of 148,000 with 6.12.
    const others = Object.keys(ours.symbols).filter(
      (name) => ours.symbols[name]?.address !== peer.symbols[name]?.address,
    );
    expect(others.length).toBeLessThan(Object.keys(ours.symbols).length / 1000);
  });
});

/** SHA-256 of the ISF of what a node's kernel tells, read from the node itself. */
async function digestOfKernel(node: LabNode, dir: string): Promise<string> {
  const read = async (path: string): Promise<Buffer> => {
    const local = join(dir, 'from-node');
    await node.capture(path === '/proc/kcore' ? `head -c 65536 ${path}` : `cat ${path}`, local);
    return readFileSync(local);
  };
  const [btf, kallsyms] = [await read('/sys/kernel/btf/vmlinux'), await read('/proc/kallsyms')];
  const [, offset] = /^KERNELOFFSET=([0-9a-f]+)$/m.exec((await read('/proc/kcore')).toString('latin1')) ?? [];
  const [banner, release] = [await node.must('cat /proc/version'), await node.must('uname -r')];
  const names = { banner: banner.trimEnd(), release: release.trim() };
  const hash = createHash('sha256');
  buildFromKernel({ btf, moduleBtf: [], kallsyms, kernelOffset: BigInt(`0x${offset}`), ...names }, (bytes) => {
    hash.update(bytes);
  });
  return hash.digest('hex');
}

/** Types with the names of unnamed ones left out, which are made of other texts; pg_data_t is a typedef of struct pglist_data. */
const named = (type: unknown): string =>
  JSON.stringify(type)
    .replace(/unnamed_[0-9a-f]+/g, 'unnamed')
    .replace('pg_data_t', 'pglist_data');

/** Rows, state and warnings of each plugin. */
async function rowsOf(report: AnalysisReport, outputDir: string): Promise<Map<string, readonly unknown[]>> {
  const entries = report.plugins.map(async ({ name, state, reason, warnings }) => {
    const rows = state === 'rows' ? await readRows(outputDir, name) : [];
    return [name, [{ state, reason, warnings }, ...rows]] as const;
  });
  return new Map(await Promise.all(entries));
}
