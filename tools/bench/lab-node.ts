import { setTimeout as sleep } from 'node:timers/promises';
import { type LabNode, startNode } from '../lab/node.ts';
import { ensureAvml } from '../setup/avml.ts';
import type { OurCollector } from './our-way.ts';

const attachLimitMs = 60_000;

/** Where a bench puts AVML for use by hand. */
export const avmlPath = '/root/avml';

/** Boots a lab node whose agent is attached to the collector, with AVML beside it for use by hand. */
export async function bootBenchNode(collector: OurCollector, name: string, memoryMiB?: number): Promise<LabNode> {
  const node = await startNode({ name, pods: true, ...(memoryMiB !== undefined && { memoryMiB }) });
  try {
    await node.put(await ensureAvml(), avmlPath);
    await node.must(`chmod 755 ${avmlPath}`);
    const certDir = collector.authority.agent(name, `uid-${name}`).dir;
    await node.startAgent({ collectorPort: collector.port, certDir });
    for (const begin = performance.now(); (await collector.node(name))?.online !== true; await sleep(100)) {
      if (performance.now() - begin > attachLimitMs)
        throw new Error(`the agent did not attach: ${await node.agentLog()}`);
    }
    return node;
  } catch (error) {
    await node.stop();
    throw error;
  }
}
