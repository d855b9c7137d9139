import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeAuthority } from '../../certificates.ts';
import { scratchDir } from '../recorded-image.ts';
import { Agents } from './agents.ts';
import { type Figures, measureSide, type Plan } from './measure.ts';
import { startCollectorSide, startPeerSide } from './side.ts';

/** What was measured with a fleet of one size, on a new collector and then on a new peer, with the same agents. */
export interface SizeFigures {
  readonly size: number;
  readonly enrolSeconds: number;
  readonly ours: Figures;
  readonly peer: Figures;
}

/** Enrols a fleet with a new collector and measures it there and on the peer. */
export async function measureSize(size: number, processes: number, plan: Plan): Promise<SizeFigures> {
  const scratch = scratchDir();
  const authority = makeAuthority(join(scratch.path, 'tls'));
  const person = authority.operator('bench');
  mkdirSync(join(scratch.path, 'data'));
  const collector = await startCollectorSide(scratch.path, authority, person);
  const agents = new Agents(processes);
  try {
    const ca = readFileSync(collector.caPath, 'utf8');
    const nodes = await collector.nodes(size);
    const enrolSeconds = await agents.enrol(nodes, collector.apiAddress, ca);
    const ours = await measureSide(collector, agents, nodes, plan);
    await collector.stop();
    const peerSide = await startPeerSide({ tlsDir: authority.server().dir, caPath: collector.caPath }, person);
    try {
      return { size, enrolSeconds, ours, peer: await measureSide(peerSide, agents, nodes, plan) };
    } finally {
      await peerSide.stop();
    }
  } finally {
    await Promise.all([agents.stop(), collector.stop()]);
    scratch.remove();
  }
}
