import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { SymbolsState } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import type { AnalysisJob, AnalysisReport } from '../../collector/analysis/analysis.ts';
import { createAnalysis } from '../../collector/analysis/analyze.ts';
import { streamRows } from '../../collector/analysis/results.ts';
import { until } from '../../collector/testing/files.ts';
import { repoDir } from '../../tools/setup/cache.ts';
import { ensureVolatility } from '../../tools/setup/volatility.ts';
import { FaultRig } from '../faults/rig.ts';
import type { Recording } from './record.ts';

const lookMs = 250;

/** A recorded node that was captured again: by the product of now, from the recording. */
export interface ReplayedNode extends AsyncDisposable {
  readonly rig: FaultRig;
  readonly name: string;
  readonly release: string;
  readonly banner: string;
  readonly imagePath: string;
  /** The ISF made of the node's own BTF and kallsyms. */
  readonly btfPath: string;
  readonly job: Omit<AnalysisJob, 'symbols' | 'outputDir'>;
}

export interface Analyzed {
  readonly report: AnalysisReport;
  /** By plugin: its state, reason and warnings, followed by its rows. */
  readonly rows: ReadonlyMap<string, readonly unknown[]>;
}

/**
 * Plays a recording to the product: the agent reads the node's files, AVML's image comes from the disk, the collector makes symbols, stores and
 * analyzes. Resolves when it is analyzed; the collector stays up.
 */
export async function replay({ imagePath, treeDir }: Recording): Promise<ReplayedNode> {
  const settings = { KCORDER_PYTHON: await ensureVolatility() };
  const rig = await FaultRig.start({ imagePath, recordedDir: treeDir, settings });
  try {
    const node = await until(async () => {
      const { nodes } = await rig.ask((operator) => operator.listNodes({}));
      return nodes.find(({ symbols }) => symbols?.state === SymbolsState.READY);
    }, lookMs);
    const captureId = await rig.order();
    const capture = await until(async () => {
      const now = await rig.capture(captureId);
      return now?.phase === Phase.DONE && now;
    }, lookMs);
    const manifest = rig.manifest(capture.id) as unknown as {
      node: { kernel: { banner: string; release: string; vmcoreinfo: string } };
      containers: AnalysisJob['containers'];
    };
    const { banner, release, vmcoreinfo } = manifest.node.kernel;
    const image = { kind: 'lime', path: capture.evidencePath } as const;
    return {
      rig,
      name: node.name,
      release,
      banner,
      imagePath: capture.evidencePath,
      btfPath: join(rig.dataDir, 'symbols', 'isf', `${node.symbols?.isfSha256}.json`),
      job: { captureId: capture.id, image, kernel: { banner, vmcoreinfo }, containers: manifest.containers },
      [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose](),
    };
  } catch (error) {
    await rig[Symbol.asyncDispose]();
    throw error;
  }
}

/** Runs plugins on the node's image with the symbols at `isfPath`; without `plugins` those of a capture. */
export async function analyzeAgain(
  { job }: Pick<ReplayedNode, 'job'>,
  isfPath: string,
  outputDir: string,
  { plugins, accelerated = true }: { plugins?: AnalysisJob['plugins']; accelerated?: boolean } = {},
): Promise<Analyzed> {
  const entry = join(repoDir, 'collector/analysis/volatility/run.py');
  const isfSha256 = createHash('sha256').update(readFileSync(isfPath)).digest('hex');
  const symbols = { isfPath, isfSha256, source: 'test', quality: 'provided' } as const;
  const analysis = createAnalysis({ python: await ensureVolatility(), entry }, undefined, { accelerated });
  const told = { ...job, symbols, outputDir, ...(plugins && { plugins }) };
  const report = await analysis.analyze(told, new AbortController().signal);
  const entries = report.plugins.map(async ({ name, state, reason, warnings }) => {
    const rows: unknown[] = [];
    for await (const row of streamRows(outputDir, report, name)) rows.push(row);
    return [name, [{ state, reason, warnings }, ...rows]] as const;
  });
  return { report, rows: new Map(await Promise.all(entries)) };
}
