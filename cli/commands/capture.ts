import { randomUUID } from 'node:crypto';
import type { AnalysisChoice } from '../calls/analysis-choice.ts';
import { printCapture } from '../calls/captures.ts';
import { order } from '../calls/order.ts';
import { exitCode } from '../exit-code.ts';
import { awaitCapture } from '../follow/await-capture.ts';
import { conclude } from '../follow/conclude.ts';
import type { Session } from '../session.ts';

/** The options of `kcorder capture`. */
export interface CaptureOptions {
  readonly reason: string;
  readonly wait: boolean;
  readonly timeoutMs: number;
  readonly idempotencyKey?: string;
  readonly analysis?: AnalysisChoice;
}

/** `kcorder capture NODE`: orders a capture and, if asked to, waits for its process table. */
export async function capture(session: Session, nodeName: string, options: CaptureOptions): Promise<number> {
  const { reason, analysis, idempotencyKey = randomUUID() } = options;
  const ordered = await order(session, { nodeName, reason, idempotencyKey, ...(analysis && { analysis }) });
  if (!options.wait) {
    session.note(`Ordered. \`kcorder watch ${ordered.id}\` follows it, \`kcorder cancel ${ordered.id}\` stops it.`);
    printCapture(session, ordered);
    return exitCode.ok;
  }
  session.note(`capture ${ordered.id} of node ${ordered.nodeName} is ordered`);
  const ended = await awaitCapture(session, ordered.id, { timeoutMs: options.timeoutMs, known: true });
  return (await conclude(session, ended)).exit;
}
