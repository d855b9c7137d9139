import { Fault } from '@kcorder/proto/fault.ts';
import type { Capture } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import type { PodReference } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { spokenByCollector } from '../failure.ts';
import { inTurn } from '../follow/pause.ts';
import type { Session } from '../session.ts';
import type { AnalysisChoice } from './analysis-choice.ts';

/** What is ordered of one node. */
export interface Order {
  readonly nodeName: string;
  readonly reason: string;
  readonly idempotencyKey: string;
  /** The key to repeat the command with, where the order's own is made from it. */
  readonly givenKey?: string;
  readonly pods?: readonly PodReference[];
  readonly analysis?: AnalysisChoice;
}

/** Its pods are looked for when it is its turn. */
const deadlineMs = 60_000;

/** Orders a capture. Says what to do when it is not known whether the collector got the order. */
export async function order(
  session: Session,
  { nodeName, reason, idempotencyKey, givenKey, pods = [], analysis }: Order,
): Promise<Capture> {
  try {
    const signal = session.terminal.interrupt;
    const request = { nodeName, reason, idempotencyKey, pods: [...pods], ...(analysis && { analysis }) };
    const { capture } = await inTurn(() => session.calls.createCapture(request, { signal, deadlineMs }), signal);
    if (capture === undefined) throw new Fault('internal', 'the collector answered without a capture');
    return capture;
  } catch (error) {
    const fault = Fault.from(error);
    if (!mayHaveArrived(fault)) throw fault;
    session.note(
      `Whether a capture of ${nodeName} began is not known. Repeat with --idempotency-key ${givenKey ?? idempotencyKey}: it is not made twice.`,
    );
    throw fault;
  }
}

/** Whether it may be the answer that was lost, not the call. */
export function mayHaveArrived(fault: Fault): boolean {
  return !spokenByCollector(fault) && !/ECONNREFUSED|ENOTFOUND|certificate/i.test(fault.message);
}
