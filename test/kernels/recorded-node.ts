import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openChannel } from '@kcorder/proto/bridge/channel.ts';
import { connect } from '@kcorder/proto/bridge/connect.ts';
import { Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { SymbolsState } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import type { AnalysisJob, AnalysisReport } from '../../collector/analysis/analysis.ts';
import { createAnalysis } from '../../collector/analysis/analyze.ts';
import { streamRows } from '../../collector/analysis/results.ts';
import { until } from '../../collector/testing/files.ts';
import type { NodeOptions } from '../../tools/lab/launch.ts';
import { repoDir } from '../../tools/setup/cache.ts';
import { ensureVolatility } from '../../tools/setup/volatility.ts';
import { Stage } from '../../tools/stage/stage.ts';
import { askProc, livedThrough, type OracleProcess } from '../story/oracle.ts';

/** A node that was captured once, by the product and all its parts. */
export interface RecordedNode {
  readonly stage: Stage;
  readonly release: string;
  readonly banner: string;
  readonly imagePath: string;
  /** The ISF made of the node's own BTF and kallsyms. */
  readonly btfPath: string;
  readonly job: Omit<AnalysisJob, 'symbols' | 'outputDir'>;
  /** The processes that lived from before the capture until after it, by the node's own word. */
  readonly lived: readonly OracleProcess[];
}

export interface Analyzed {
  readonly report: AnalysisReport;
  /** By plugin: its state, reason and warnings, followed by its rows. */
  readonly rows: ReadonlyMap<string, readonly unknown[]>;
}

/** Boots a node with its pods, captures it, switches it off, and resolves when the image is analyzed. The collector stays up. */
export async function recordNode(dir: string, options: NodeOptions & { kernel: string }): Promise<RecordedNode> {
  const env = { KCORDER_SPOOL_SECONDS: '3600' };
  const stage = await Stage.open(join(dir, 'stage'), { kernel: options.kernel, env });
  try {
    const host = await stage.boot({ ...options, pods: true });
    const channel = openChannel(stage.context.address, stage.authority.operator('recorder'));
    const operator = connect(OperatorService, channel);
    const node = await until(async () => {
      const { nodes } = await operator.listNodes({});
      return nodes.find(({ online, symbols }) => online && symbols?.state === SymbolsState.READY);
    });
    const before = await askProc(host);
    const created = await operator.createCapture({ nodeName: host.name, reason: 'record', idempotencyKey: 'record' });
    const captureId = created.capture?.id ?? '';
    const capture = await until(async () => {
      const { capture: now } = await operator.getCapture({ captureId });
      return now?.phase === Phase.DONE && now;
    });
    const lived = livedThrough(before, await askProc(host));
    channel.close();
    // an emulated node takes a processor even when it idles
    await host.stop();
    const { dataDir } = stage.collector.options;
    const manifest = JSON.parse(readFileSync(join(dataDir, 'evidence', captureId, 'manifest.json'), 'utf8')) as {
      node: { kernel: { banner: string; release: string; vmcoreinfo: string } };
      containers: AnalysisJob['containers'];
    };
    const { banner, release, vmcoreinfo } = manifest.node.kernel;
    const image = { kind: 'lime', path: capture.evidencePath } as const;
    return {
      stage,
      release,
      banner,
      imagePath: capture.evidencePath,
      btfPath: join(dataDir, 'symbols', 'isf', `${node.symbols?.isfSha256}.json`),
      job: { captureId, image, kernel: { banner, vmcoreinfo }, containers: manifest.containers },
      lived,
    };
  } catch (error) {
    await stage.close();
    throw error;
  }
}

/** Runs plugins on the node's image with the symbols at `isfPath`; without `plugins` those of a capture. */
export async function analyzeRecorded(
  { job }: Pick<RecordedNode, 'job'>,
  isfPath: string,
  outputDir: string,
  plugins?: AnalysisJob['plugins'],
): Promise<Analyzed> {
  const entry = join(repoDir, 'collector/analysis/volatility/run.py');
  const isfSha256 = createHash('sha256').update(readFileSync(isfPath)).digest('hex');
  const symbols = { isfPath, isfSha256, source: 'test', quality: 'provided' } as const;
  const analysis = createAnalysis({ python: await ensureVolatility(), entry });
  const wanted = { ...job, symbols, outputDir, ...(plugins && { plugins }) };
  const report = await analysis.analyze(wanted, new AbortController().signal);
  const entries = report.plugins.map(async ({ name, state, reason, warnings }) => {
    const rows: unknown[] = [];
    for await (const row of streamRows(outputDir, report, name)) rows.push(row);
    return [name, [{ state, reason, warnings }, ...rows]] as const;
  });
  return { report, rows: new Map(await Promise.all(entries)) };
}
