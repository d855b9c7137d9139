import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SymbolsState } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import type { AnalysisJob } from '../../../collector/analysis/analysis.ts';
import type { LabNode } from '../../lab/node.ts';
import { bootBenchNode } from '../lab-node.ts';
import { OurCollector } from '../our-way.ts';

/** A real image with the symbols of its kernel, and what its node told. */
export interface CapturedImage {
  readonly job: Omit<AnalysisJob, 'outputDir'> & { readonly image: { readonly kind: 'lime'; readonly path: string } };
}

type Kernel = AnalysisJob['kernel'];

/** Boots a lab node with pods, prepares it and captures it; its files lie below `dir`. */
export async function captureNode(
  dir: string,
  { memoryMiB, prepare }: { memoryMiB?: number; prepare?: (node: LabNode) => Promise<void> } = {},
): Promise<CapturedImage> {
  const collector = await OurCollector.start(dir);
  try {
    const name = `bench-${process.pid}`;
    const node = await bootBenchNode(collector, name, memoryMiB);
    try {
      await prepare?.(node);
      let symbols = (await collector.node(name))?.symbols;
      for (; symbols?.state !== SymbolsState.READY; await sleep(100)) symbols = (await collector.node(name))?.symbols;
      const { captureId } = await collector.order(name);
      const { evidencePath } = await collector.ended(captureId);
      const { dataDir } = collector.process.options;
      const manifest = readJson(join(dataDir, 'evidence', captureId, 'manifest.json')) as {
        readonly node: { readonly kernel: Kernel };
        readonly containers: AnalysisJob['containers'];
      };
      const isfPath = join(dataDir, 'symbols', 'isf', `${symbols.isfSha256}.json`);
      return withSymbols(
        { captureId, kernel: manifest.node.kernel, containers: manifest.containers },
        evidencePath,
        isfPath,
      );
    } finally {
      await node.stop();
    }
  } finally {
    await collector.stop();
  }
}

/** A directory with image.lime, btf.json (an ISF) and job.json (what the node told) of an earlier capture. */
export function openCaptured(dir: string): CapturedImage {
  const told = readJson(join(dir, 'job.json')) as Pick<AnalysisJob, 'captureId' | 'kernel' | 'containers'>;
  return withSymbols(told, join(dir, 'image.lime'), join(dir, 'btf.json'));
}

function withSymbols(
  { captureId, kernel: { banner, vmcoreinfo }, containers }: Pick<AnalysisJob, 'captureId' | 'kernel' | 'containers'>,
  path: string,
  isfPath: string,
): CapturedImage {
  const isfSha256 = createHash('sha256').update(readFileSync(isfPath)).digest('hex');
  const symbols = { isfPath, isfSha256, source: 'bench', quality: 'btf' } as const;
  return { job: { captureId, kernel: { banner, vmcoreinfo }, containers, image: { kind: 'lime', path }, symbols } };
}

const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));
