import { join } from 'node:path';
import { causeChain, Fault } from '@kcorder/proto/fault.ts';
import type { ReceivedTypes, TypesTransfers } from '../ingest/kernel-types.ts';
import type { Fleet } from './fleet.ts';

/** What asking a node for its kernel types came to. */
export type TypesAnswer =
  | { readonly kind: 'received'; readonly nodeName: string; readonly files: ReceivedTypes }
  /** No attached node has them. */
  | { readonly kind: 'offline' }
  | { readonly kind: 'failed'; readonly reason: string };

/** So many nodes are asked in turn when one cannot. */
const maxAsked = 3;

/**
 * Has an attached node with this digest send its kernel types into a directory. Every node that told the same digest would send the same
 * bytes, so any of them will do, and none can speak for another. Throws only the signal's reason.
 */
export async function askForTypes(
  fleet: Fleet,
  transfers: TypesTransfers,
  digest: string,
  directory: string,
  signal: AbortSignal,
): Promise<TypesAnswer> {
  const agents = fleet.attached(({ kernel }) => digest !== '' && kernel.typesDigest === digest).slice(0, maxAsked);
  if (agents.length === 0) return { kind: 'offline' };
  const reasons: string[] = [];
  for (const [index, agent] of agents.entries()) {
    const { name, uid } = agent.node;
    try {
      const order = (transferId: string) => agent.send({ kind: 'kernel_types', transferId });
      const files = await transfers.receive({ uid, digest }, join(directory, String(index)), order, signal);
      return { kind: 'received', nodeName: name, files };
    } catch (error) {
      signal.throwIfAborted();
      const reason = error instanceof Fault ? error.message : (causeChain(error)[0] ?? '');
      reasons.push(`node ${name}: ${reason}`);
    }
  }
  return { kind: 'failed', reason: reasons.join('; ') };
}
