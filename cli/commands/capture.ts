import { randomUUID } from 'node:crypto';
import { Fault } from '@kcorder/proto/fault.ts';
import type { Capture } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { printCapture } from '../captures.ts';
import { exitCode } from '../exit-code.ts';
import { spokenByCollector } from '../failure.ts';
import { awaitCapture } from '../follow/await-capture.ts';
import { conclude } from '../follow/conclude.ts';
import type { Session } from '../session.ts';

/** The options of `kcorder capture`. */
export interface CaptureOptions {
  readonly reason: string;
  readonly wait: boolean;
  readonly timeoutMs: number;
  readonly idempotencyKey?: string;
}

/** `kcorder capture NODE`: orders a capture and, if asked to, waits for its process table. */
export async function capture(session: Session, nodeName: string, options: CaptureOptions): Promise<number> {
  const ordered = await order(session, nodeName, options.reason, options.idempotencyKey ?? randomUUID());
  if (!options.wait) {
    session.note(`Ordered. \`kcorder watch ${ordered.id}\` follows it, \`kcorder cancel ${ordered.id}\` stops it.`);
    printCapture(session, ordered);
    return exitCode.ok;
  }
  session.note(`capture ${ordered.id} of node ${ordered.nodeName} is ordered`);
  return conclude(session, await awaitCapture(session, ordered.id, { timeoutMs: options.timeoutMs, known: true }));
}

async function order(session: Session, nodeName: string, reason: string, idempotencyKey: string): Promise<Capture> {
  const { interrupt } = session.terminal;
  try {
    const { capture: ordered } = await session.calls.createCapture(
      { nodeName, reason, idempotencyKey },
      { signal: interrupt },
    );
    if (ordered === undefined) throw new Fault('internal', 'the collector answered without a capture');
    return ordered;
  } catch (error) {
    const fault = Fault.from(error);
    if (spokenByCollector(fault) || /ECONNREFUSED|ENOTFOUND|certificate/i.test(fault.message)) throw fault;
    // The answer may have been lost, not the order.
    session.note(
      `Whether a capture of ${nodeName} began is not known. Repeat with --idempotency-key ${idempotencyKey}: it is not made twice.`,
    );
    throw fault;
  }
}
