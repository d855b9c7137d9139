import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { median } from '../row.ts';
import { usageOf } from '../worker-process.ts';
import type { Agents } from './agents.ts';
import { monotonicMs } from './clock.ts';
import { checkOpenFiles, standingConnections } from './open-files.ts';
import type { FleetNode } from './protocol.ts';
import type { Side } from './side.ts';

/** How much is measured of one side. */
export interface Plan {
  /** The fleet is left alone with its heartbeats for so long; memory and CPU are those of this time. */
  readonly settleSeconds: number;
  readonly orders: number;
  readonly lists: number;
}

/** What was measured of one side with a fleet of one size. */
export interface Figures {
  /** Until ListNodes says that every node is online. */
  readonly attachSeconds: number;
  readonly online: number;
  readonly connections: number;
  /** Median of the last quarter of the time to settle. */
  readonly rssBytes: number;
  /** After the orders and lists too. */
  readonly peakRssBytes: number;
  /** Share of one processor, 1 is all of it. */
  readonly cpuShare: number;
  /** From the start of the call to the arrival in the agent, in milliseconds. */
  readonly orderMs: readonly number[];
  readonly listMs: readonly number[];
  readonly losses: number;
  /** Tries to attach that failed, of all agents. */
  readonly failures: number;
  readonly lastFailure: string;
}

const sampleMs = 500;

/** Attaches the whole fleet to one side, measures, and detaches it. Throws when an agent does not stand at the end. */
export async function measureSide(
  side: Side,
  agents: Agents,
  nodes: readonly FleetNode[],
  plan: Plan,
): Promise<Figures> {
  checkOpenFiles(side.pid, nodes.length, 'the server');
  // The person's own connection stands from here on.
  await side.operator.listNodes({});
  const before = await agents.count();
  const beganMs = monotonicMs();
  await agents.attach(side.address);
  const online = (await side.operator.listNodes({})).nodes.filter((node) => node.online).length;
  const attachSeconds = (monotonicMs() - beganMs) / 1000;
  if (online !== nodes.length) throw new Error(`${online} of ${nodes.length} nodes are online`);
  const settled = await settle(side, plan.settleSeconds);
  const connections = standingConnections(side.port) - 1;
  if (connections < nodes.length) throw new Error(`${nodes.length} agents share ${connections} connections`);
  const orderMs = await orders(side, agents, nodes, plan.orders);
  const listMs = await lists(side, plan.lists);
  const { standing, losses, failures, lastFailure } = await agents.count();
  if (standing !== nodes.length) throw new Error(`${standing} of ${nodes.length} agents stand at the end`);
  const { peakRssBytes } = usageOf(side.pid);
  await agents.detach();
  return {
    attachSeconds,
    online,
    connections,
    ...settled,
    peakRssBytes,
    orderMs,
    listMs,
    losses: losses - before.losses,
    failures: failures - before.failures,
    lastFailure,
  };
}

async function settle({ pid }: Side, seconds: number): Promise<{ rssBytes: number; cpuShare: number }> {
  const before = usageOf(pid);
  const beganMs = monotonicMs();
  const samples = [before.rssBytes];
  while (monotonicMs() - beganMs < seconds * 1000) {
    await sleep(sampleMs);
    samples.push(usageOf(pid).rssBytes);
  }
  const cpuSeconds = usageOf(pid).cpuSeconds - before.cpuSeconds;
  const last = samples.slice(-Math.ceil(samples.length / 4));
  return { rssBytes: median(last), cpuShare: cpuSeconds / Math.max((monotonicMs() - beganMs) / 1000, 1e-3) };
}

/** One after the other, each on another node, each canceled as soon as it has arrived. */
async function orders(side: Side, agents: Agents, nodes: readonly FleetNode[], count: number): Promise<number[]> {
  const chosen = nodes
    .map(({ name }) => ({ name, at: Math.random() }))
    .toSorted((one, other) => one.at - other.at)
    .slice(0, count);
  const latenciesMs: number[] = [];
  for (const { name } of chosen) {
    const beganMs = monotonicMs();
    const { capture } = await side.operator.createCapture({
      nodeName: name,
      reason: 'bench',
      idempotencyKey: randomUUID(),
    });
    const captureId = capture?.id ?? '';
    latenciesMs.push((await agents.orderedAtMs(name, captureId)) - beganMs);
    await side.operator.cancelCapture({ captureId });
  }
  return latenciesMs;
}

async function lists({ operator }: Side, count: number): Promise<number[]> {
  const latenciesMs: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const beganMs = monotonicMs();
    await operator.listNodes({});
    latenciesMs.push(monotonicMs() - beganMs);
  }
  return latenciesMs;
}
