import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { causeChain, Fault, type FaultCode } from '@kcorder/proto/fault.ts';
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
/** How often a node is asked whose transfer broke. */
const maxTries = 3;
const tryAgainMs = 1_000;
/** Endings of a stream that say nothing of what the node has. */
const broken: ReadonlySet<FaultCode> = new Set(['canceled', 'unavailable', 'resource_exhausted']);

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
    const order = (transferId: string) => agent.send({ kind: 'kernel_types', transferId });
    for (let tries = 1; ; tries += 1) {
      const place = join(directory, `${index}-${tries}`);
      try {
        return {
          kind: 'received',
          nodeName: name,
          files: await transfers.receive({ uid, digest }, place, order, signal),
        };
      } catch (error) {
        // A node could fill the disk with parts of its types.
        await rm(place, { recursive: true, force: true });
        signal.throwIfAborted();
        if (error instanceof Fault && broken.has(error.code) && tries < maxTries) {
          await sleep(error.retryAfterMs ?? tryAgainMs, undefined, { signal }).catch(() => signal.throwIfAborted());
          continue;
        }
        const reason = error instanceof Fault ? error.message : (causeChain(error)[0] ?? '');
        reasons.push(`node ${name}: ${reason}`);
        break;
      }
    }
  }
  return { kind: 'failed', reason: reasons.join('; ') };
}
