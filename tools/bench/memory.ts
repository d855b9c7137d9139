import { setTimeout as sleep } from 'node:timers/promises';
import { OurCollector, startOurAgent } from './our-way.ts';
import { recordImage, scratchDir } from './recorded-image.ts';
import type { Row } from './row.ts';

const mebibyte = 1 << 20;
const agentLimitMebibytes = 160;
/** What still counts as flat. */
const growthLimit = 1.25;

/** Resident memory of the agent while the collector stands still for `stallSeconds` in the middle of a capture. */
export async function benchAgentRss({ stallSeconds }: { stallSeconds: number }): Promise<Row[]> {
  const image = recordImage(512);
  const scratch = scratchDir();
  const collector = await OurCollector.start(scratch.path);
  const agent = await startOurAgent(collector, 'bench', image);
  try {
    const idle = agent.usage.rssBytes;
    const { captureId } = await collector.order('bench');
    while (Number((await collector.operator.getCapture({ captureId })).capture?.durableBytes) < image.bytes / 4)
      await sleep(10);
    const { pid } = collector.process;
    process.kill(pid, 'SIGSTOP');
    let highest = 0;
    let last = 0;
    try {
      for (const begin = performance.now(); performance.now() - begin < stallSeconds * 1000; await sleep(250)) {
        last = agent.usage.rssBytes;
        highest = Math.max(highest, last);
      }
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    const { durableBytes } = await agent.line(
      ({ msg }) => msg === 'evidence sealed' || msg === 'capture ended without a seal',
    );
    const whole =
      durableBytes === image.bytes
        ? 'the capture then ended complete'
        : `THE CAPTURE WAS LOST at byte ${String(durableBytes)}`;
    const [ours, peer] = [highest / mebibyte, agentLimitMebibytes];
    const tell = (bytes: number): string => (bytes / mebibyte).toFixed(0);
    const note = `highest of ${stallSeconds} s of stall (at its end ${tell(last)}, idle before ${tell(idle)}, peak of the process ${tell(agent.usage.peakRssBytes)}); peer: the limit; ${whole}`;
    return [{ bench: 'agent-rss', case: 'collector-stalled', ours, peer, ratio: peer / ours, unit: 'MiB', note }];
  } finally {
    await Promise.all([agent.stop(), collector.stop()]);
    scratch.remove();
    image.remove();
  }
}

/** Peak resident memory of a collector for a large image against that for a small one; 1 is flat. */
export async function benchCollectorRss(options: { smallMebibytes: number; largeMebibytes: number }): Promise<Row[]> {
  const [small, large] = [await peakOf(options.smallMebibytes), await peakOf(options.largeMebibytes)];
  const ours = large / small;
  const tell = (bytes: number): string => `${(bytes / mebibyte).toFixed(0)} MiB`;
  const note = `peak ${tell(small)} for an image of ${options.smallMebibytes} MiB, ${tell(large)} for ${options.largeMebibytes} MiB, a new collector each; peer: ${growthLimit} times is still flat`;
  return [
    { bench: 'collector-rss', case: 'image-size', ours, peer: growthLimit, ratio: growthLimit / ours, unit: 'x', note },
  ];
}

async function peakOf(mebibytes: number): Promise<number> {
  const image = recordImage(mebibytes);
  const scratch = scratchDir();
  const collector = await OurCollector.start(scratch.path);
  const agent = await startOurAgent(collector, 'bench', image);
  try {
    await collector.order('bench');
    await agent.line(({ msg }) => msg === 'evidence sealed');
    return collector.usage.peakRssBytes;
  } finally {
    await Promise.all([agent.stop(), collector.stop()]);
    scratch.remove();
    image.remove();
  }
}
