import { createHash, randomUUID } from 'node:crypto';
import { Fault } from '@kcorder/proto/fault.ts';
import { type Capture, CaptureSchema } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { PodReferenceSchema } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { agree, type Question } from '../calls/agree.ts';
import { order } from '../calls/order.ts';
import { exitCode, worstOf } from '../exit-code.ts';
import { failureOf } from '../failure.ts';
import { awaitCapture } from '../follow/await-capture.ts';
import { type Conclusion, conclude } from '../follow/conclude.ts';
import { documentOf } from '../output/document.ts';
import { type PodsMeant, type PodsOfNode, podName, resolvePods } from '../pods/resolve.ts';
import { capturesTable } from '../render/captures.ts';
import { forPeople, ofNode, type Session } from '../session.ts';
import type { CaptureOptions } from './capture.ts';

/** The options of `kcorder capture` with pods. */
export interface CapturePodsOptions extends CaptureOptions {
  /** Ask nothing. */
  readonly yes: boolean;
}

/** What became of one node. */
interface Part extends PodsOfNode {
  readonly capture?: Capture;
  readonly conclusion?: Conclusion;
  readonly fault?: Fault;
  readonly exit: number;
}

const mostWithoutQuestion = 3;
/** As many as the collector notes with a capture. */
const mostPodsNoted = 64;

/** `kcorder capture --pod …`: one capture of each node that the pods run on. What fails on one node stops no other. */
export async function capturePods(session: Session, meant: PodsMeant, options: CapturePodsOptions): Promise<number> {
  const nodes = await resolvePods(session, meant);
  for (const { nodeName, pods } of nodes) session.note(`${nodeName}: ${pods.map(podName).join(', ')}`);
  if (!options.yes && nodes.length > mostWithoutQuestion) await agree(session, questionFor(nodes.length));
  const givenKey = options.idempotencyKey ?? randomUUID();
  const ordered: Part[] = [];
  for (const node of nodes) ordered.push(await orderPart(session, node, { ...options, idempotencyKey: givenKey }));
  const parts = options.wait
    ? await Promise.all(ordered.map((part) => awaitPart(session, part, options.timeoutMs)))
    : ordered;
  show(session, parts, options.wait);
  return worstOf(parts.map(({ exit }) => exit));
}

/** Many nodes at once are rarely what somebody means. */
function questionFor(count: number): Question {
  return {
    text: `Capture all ${count} nodes?`,
    refusal: `the pods run on ${count} nodes, and each of them would be captured: nothing was ordered. Repeat with --yes, or name fewer pods.`,
    declined: 'nothing was ordered',
  };
}

/** The same key and node give the same capture, however the pods have moved meanwhile. */
function keyOf(givenKey: string, nodeName: string): string {
  return createHash('sha256')
    .update(JSON.stringify([givenKey, nodeName]))
    .digest('hex');
}

async function orderPart(
  session: Session,
  node: PodsOfNode,
  { reason, analysis, idempotencyKey: givenKey = '' }: CapturePodsOptions,
): Promise<Part> {
  const idempotencyKey = keyOf(givenKey, node.nodeName);
  try {
    // An interruption while another node was ordered ends this one before it begins.
    session.terminal.interrupt.throwIfAborted();
    const pods = node.pods.slice(0, mostPodsNoted);
    const asked = { nodeName: node.nodeName, pods, reason, idempotencyKey, givenKey };
    const capture = await order(session, { ...asked, ...(analysis && { analysis }) });
    session.note(`${node.nodeName}: capture ${capture.id} is ordered`);
    return { ...node, capture, exit: exitCode.ok };
  } catch (error) {
    return failed(session, node, error, 'not ordered: ');
  }
}

async function awaitPart(session: Session, part: Part, timeoutMs: number): Promise<Part> {
  const { capture, nodeName, pods } = part;
  if (capture === undefined) return part;
  const own = ofNode(session, nodeName);
  try {
    const ended = await awaitCapture(own, capture.id, { timeoutMs, known: true, several: true });
    const conclusion = await conclude(own, ended, pods);
    return { ...part, capture: ended, conclusion, exit: conclusion.exit };
  } catch (error) {
    return failed(session, part, error, '');
  }
}

function failed(session: Session, part: PodsOfNode | Part, error: unknown, what: string): Part {
  const fault = session.explained(Fault.from(error));
  const { sentence, exit } = failureOf(fault, session.place);
  session.warn(`${part.nodeName}: ${what}${sentence}`);
  return { ...part, fault, exit };
}

function show(session: Session, parts: readonly Part[], waited: boolean): void {
  const captures = parts.flatMap(({ capture }) => capture ?? []);
  const ids = captures.map(({ id }) => id);
  if (!waited && ids.length > 0)
    session.note(
      `Ordered: ${ids.length} of ${parts.length}. \`kcorder watch ID\` follows one, \`kcorder cancel ID\` stops it.`,
    );
  // The process tables were printed as the captures ended.
  if (waited && forPeople(session)) return;
  session.print({
    document: () =>
      parts.map(({ nodeName, pods, capture, conclusion, fault }) => ({
        nodeName,
        pods: pods.map((pod) => documentOf(PodReferenceSchema, pod)),
        capture: capture === undefined ? null : documentOf(CaptureSchema, capture),
        ...(waited ? { analysis: conclusion?.analysisDocument() ?? null } : {}),
        error: fault === undefined ? null : { code: fault.code, message: fault.message },
      })),
    table: (look) => (captures.length === 0 ? '' : capturesTable(captures, look, Date.now())),
  });
}
