import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { LabNode } from '../lab/node.ts';
import { avmlPath, bootBenchNode } from './lab-node.ts';
import { OurCollector } from './our-way.ts';
import { scratchDir } from './recorded-image.ts';
import { median, type Row, spread } from './row.ts';

interface Run {
  readonly bytes: number;
  readonly seconds: number;
}

const rate = ({ bytes, seconds }: Run): number => bytes / 1e6 / seconds;

/** Rate from a node's memory to durable evidence on the collector, against AVML into a FIFO that is thrown away, on the same node. */
export async function benchLab(options: { runs: number }): Promise<Row[]> {
  const scratch = scratchDir();
  const collector = await OurCollector.start(scratch.path);
  let node: LabNode | undefined;
  try {
    const name = `bench-${process.pid}`;
    node = await bootBenchNode(collector, name);
    await raw(node);
    await ours(collector, name);
    const runs = { ours: [] as Run[], raw: [] as Run[] };
    let agentCpu: number[] = [];
    for (let index = 0; index < options.runs; index += 1) {
      const seconds = await raw(node);
      const before = await agentCpuSeconds(node);
      const run = await ours(collector, name);
      agentCpu = [...agentCpu, ((await agentCpuSeconds(node)) - before) / (run.bytes / 1e9)];
      runs.ours.push(run);
      // A node's image hardly changes its size from one run to the next.
      runs.raw.push({ bytes: run.bytes, seconds });
    }
    const [a, b] = [median(runs.ours.map(rate)), median(runs.raw.map(rate))];
    const of = (list: readonly Run[]): string =>
      `${spread(list.map(rate))} MB/s (${spread(
        list.map((run) => run.seconds),
        1,
      )} s)`;
    const note = `order to sealed ${of(runs.ours)}; avml > FIFO > /dev/null ${of(runs.raw)}; agent in the node: CPU s/GB ${median(agentCpu).toFixed(1)}, ${node.state.accel}`;
    return [{ bench: 'stream', case: 'lab', ours: a, peer: b, ratio: a / b, unit: 'MB/s', note }];
  } finally {
    await node?.stop();
    await collector.stop();
    scratch.remove();
  }
}

/** Seconds of AVML into a FIFO whose bytes nobody wants. */
async function raw(node: LabNode): Promise<number> {
  const fifo = '/run/bench.fifo';
  await node.must(`rm -f ${fifo}; mkfifo ${fifo}`);
  const begin = performance.now();
  await node.must(`${avmlPath} acquire --source /proc/kcore ${fifo} & cat ${fifo} >/dev/null; wait $!`);
  return (performance.now() - begin) / 1000;
}

async function ours(collector: OurCollector, name: string): Promise<Run> {
  const { captureId } = await collector.order(name);
  const { evidencePath, durableBytes } = await collector.ended(captureId);
  // The watch tells with a delay, the manifest the moment itself, which is after the last byte was synced.
  const { sealedAt, capture } = JSON.parse(readFileSync(join(dirname(evidencePath), 'manifest.json'), 'utf8'));
  const seconds = (Date.parse(sealedAt) - Date.parse(capture.requestedAt)) / 1000;
  collector.forgetEvidence(captureId);
  return { bytes: Number(durableBytes), seconds };
}

async function agentCpuSeconds(node: LabNode): Promise<number> {
  const ticks = await node.must(
    `for p in /proc/[0-9]*; do grep -qs 'agent/main.ts' $p/cmdline && sed 's/.*) //' $p/stat; done | awk '{s+=$12+$13} END {print s}'`,
  );
  return Number(ticks) / 100;
}
