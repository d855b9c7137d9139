import type { CallContext, Handlers } from '@kcorder/proto/bridge/serve.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import type { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import type { Captures } from '../fleet/captures.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { Acquisitions } from '../ingest/acquisitions.ts';
import type { CaptureJournal, JournaledCapture } from '../journal/captures.ts';
import type { KernelIdentity, SymbolsStatus } from '../symbols/symbols.ts';
import { presentAnalysis } from './analysis.ts';
import { downloadEvidence } from './download.ts';
import { actorOf, identityOf } from './identity.ts';
import { presentCapture, presentNode } from './present.ts';
import { watchCapture } from './watch.ts';

/** The handlers of the operator service. They know nothing of their transport but the context. */
export type OperatorHandlers = Handlers<typeof OperatorService>;

/** What the handlers reach. */
export interface OperatorRooms {
  readonly version: string;
  readonly journal: CaptureJournal;
  readonly captures: Captures;
  readonly acquisitions: Acquisitions;
  readonly evidence: EvidenceDirectory;
  readonly fleet: Fleet;
  readonly symbols: { status(kernel: KernelIdentity): SymbolsStatus };
}

const reasonLimit = 1024;
const keyLimit = 128;
const defaultPageSize = 100;
const largestPageSize = 500;

/** Makes the handlers. */
export function operatorHandlers(rooms: OperatorRooms): OperatorHandlers {
  const { journal, captures, acquisitions, fleet, evidence, symbols } = rooms;
  const present = (capture: JournaledCapture) =>
    presentCapture(
      capture,
      acquisitions.live(capture.request.id)?.scannedBytes ?? 0,
      evidence,
      symbols.status(capture.request.kernel),
    );
  return {
    createCapture: async ({ nodeName, reason, idempotencyKey }, context) => {
      if (nodeName === '') throw new Fault('invalid_argument', 'node_name is missing: name the node to capture');
      if (reason.trim() === '' || reason.length > reasonLimit) {
        throw new Fault(
          'invalid_argument',
          `a reason of 1 to ${reasonLimit} characters is required: it stays in the evidence`,
        );
      }
      if (idempotencyKey === '' || idempotencyKey.length > keyLimit) {
        throw new Fault('invalid_argument', `an idempotency_key of 1 to ${keyLimit} characters is required`);
      }
      return {
        capture: present(await captures.create({ nodeName, reason, idempotencyKey, requestedBy: callerOf(context) })),
      };
    },
    getCapture: async ({ captureId }) => ({ capture: present(journal.get(captureId)) }),
    listCaptures: async ({ nodeName, pageSize, pageToken }) => {
      if (pageSize > largestPageSize)
        throw new Fault('invalid_argument', `page_size ${pageSize} is over ${largestPageSize}`);
      const limit = pageSize === 0 ? defaultPageSize : pageSize;
      const found = journal.list({
        limit: limit + 1,
        ...(nodeName === '' ? {} : { nodeName }),
        ...(pageToken === '' ? {} : { before: journal.get(pageToken).request }),
      });
      const page = found.slice(0, limit);
      return {
        captures: page.map(present),
        nextPageToken: found.length > limit ? (page.at(-1)?.request.id ?? '') : '',
      };
    },
    watchCapture: ({ captureId }, context) => watchCapture(journal, captureId, present, context.signal),
    cancelCapture: async ({ captureId }, context) => ({
      capture: present(await captures.cancel(captureId, callerOf(context))),
    }),
    downloadEvidence: ({ captureId, offset }, context) =>
      downloadEvidence(journal, evidence, {
        captureId,
        offset: Number(offset),
        actor: callerOf(context),
        signal: context.signal,
      }),
    getAnalysis: async ({ captureId, rowPlugins }, context) => {
      const capture = journal.get(captureId);
      journal.recordReading(captureId, callerOf(context), 'analysis_read', { rowPlugins });
      const results = await presentAnalysis(capture, evidence, rowPlugins);
      return { ...results, capture: present(capture) };
    },
    listNodes: async () => ({
      nodes: fleet
        .list()
        .map(({ node, online }) =>
          presentNode(node, online, journal.runningOn(node.uid)?.request.id ?? '', symbols.status(node.kernel)),
        ),
    }),
    getVersion: async () => ({ version: rooms.version }),
  };
}

const callerOf = (context: CallContext): string => actorOf(identityOf(context.peerNames));
