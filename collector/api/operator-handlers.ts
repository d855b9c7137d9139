import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { CallContext, Handlers } from '@kcorder/proto/bridge/serve.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import type { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { oneAtATime } from '../background/one-at-a-time.ts';
import type { Images } from '../custody/images.ts';
import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import type { Captures } from '../fleet/captures.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { Acquisitions } from '../ingest/acquisitions.ts';
import type { Approvals } from '../journal/approvals.ts';
import type { CaptureJournal, JournaledCapture } from '../journal/capture-journal.ts';
import type { FindingJournal } from '../journal/finding-journal.ts';
import type { Reanalyses } from '../journal/reanalyses.ts';
import type { StorageRecord } from '../store/storage-record.ts';
import type { KernelIdentity, SymbolsStatus } from '../symbols/symbols.ts';
import { presentPlugins, readSpec } from './analysis-spec.ts';
import { analyzeAgain } from './analyze-again.ts';
import { ByteBudget } from './door/byte-budget.ts';
import { aheadLimits, downloadEvidence } from './download-evidence.ts';
import { callerOf } from './gate.ts';
import { actorOf, payerOf } from './identity.ts';
import { inTurnUnless, Lanes, Turns } from './one-at-a-time.ts';
import { presentCapture, presentNode, specOf } from './present.ts';
import { presentAnalysis } from './present-analysis.ts';
import { type PodPlaces, type PodReading, podsOn, resolvePods } from './targets.ts';
import { validity } from './validity.ts';
import { watchCapture } from './watch-capture.ts';

/** The handlers of the operator service. They know nothing of their transport but the context. */
export type OperatorHandlers = Handlers<typeof OperatorService>;

/** The analyses that wait and run. */
export interface Analyses {
  /** The name of the profile of analyses that name neither a profile nor plugins. */
  readonly defaultProfile: string;
  /** Stops one that waits or runs. Throws capture_unknown, capture_running, capture_ended, storage_failed. */
  cancel(captureId: string, by: string): void;
}

/** What the handlers reach. */
export interface OperatorDeps {
  readonly version: string;
  readonly journal: CaptureJournal;
  readonly captures: Captures;
  readonly acquisitions: Acquisitions;
  readonly evidence: EvidenceDirectory;
  readonly storage: { get(captureId: string): StorageRecord | undefined };
  readonly images: Images;
  readonly again: Reanalyses;
  readonly analyses: Analyses;
  readonly findings: Pick<FindingJournal, 'of'>;
  readonly fleet: Fleet;
  readonly approvals: Approvals;
  /** Whether a requested capture waits until others end. */
  waits(captureId: string): boolean;
  /** Unset outside of a cluster. */
  readonly places?: PodPlaces;
  /** Throws permission_denied when the caller may not list the pods of a namespace, empty for all. */
  admitToPods(context: CallContext, namespace: string): Promise<void>;
  /** Throws permission_denied when the caller may not unmask results. */
  admitToUnmask(context: CallContext): Promise<void>;
  readonly symbols: { status(kernel: KernelIdentity): SymbolsStatus };
}

const reasonLimit = 1024;
const keyLimit = 128;
const approvalMs = { usual: 3_600_000, most: 24 * 3_600_000 };
const defaultPageSize = 100;
const largestPageSize = 500;

/** Makes the handlers. */
export function operatorHandlers(deps: OperatorDeps): OperatorHandlers {
  const { journal, captures, acquisitions, fleet, evidence, symbols, places, approvals } = deps;
  const ahead = new ByteBudget(aheadLimits.most, aheadLimits.mostOfOne);
  // What is found may be large: that of one answer at once is read.
  const turns = new Turns();
  // One question for pods is asked at a time: somebody's can be so large that reading them holds up everybody else.
  const podLanes = new Lanes();
  const inPodTurn = oneAtATime();
  const podsFor = (context: CallContext): PodReading => ({
    mayList: (namespace) => deps.admitToPods(context, namespace),
    asked: (question) => inTurnUnless(context.signal, inPodTurn, question),
  });
  const present = (capture: JournaledCapture) =>
    presentCapture(capture, {
      scannedBytes: acquisitions.live(capture.request.id)?.scannedBytes ?? 0,
      directory: evidence,
      stored: deps.storage.get(capture.request.id),
      symbols: symbols.status(capture.request.kernel),
      waiting: deps.waits(capture.request.id),
      again: deps.again.get(capture.request.id),
      spec: specOf(capture, deps.again),
    });
  return {
    createCapture: async ({ nodeName, reason, idempotencyKey, pods: wanted, analysis: spec }, context) => {
      checkNodeAndReason(nodeName, reason);
      const analysis = await readSpec(spec, () => deps.admitToUnmask(context));
      if (idempotencyKey === '' || idempotencyKey.length > keyLimit) {
        throw new Fault('invalid_argument', `an idempotency_key of 1 to ${keyLimit} characters is required`);
      }
      const find = () => podsOn(places, nodeName, wanted, podsFor(context));
      const pods = () => (wanted.length === 0 ? find() : podLanes.run(payer(context), context.signal, find));
      const order = { nodeName, reason, idempotencyKey, pods, requestedBy: actor(context) };
      return { capture: present(await captures.create({ ...order, ...(analysis && { analysis }) })) };
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
    watchCapture: ({ captureId }, context) => watchCapture(deps, captureId, present, context.signal),
    cancelCapture: async ({ captureId }, context) => ({
      capture: present(await captures.cancel(captureId, actor(context))),
    }),
    downloadEvidence: ({ captureId, offset }, context) =>
      downloadEvidence(
        { ...deps, ahead },
        { captureId, offset: Number(offset), actor: actor(context), payer: payer(context), signal: context.signal },
      ),
    getAnalysis: async ({ captureId, rowPlugins, unmask }, context) => {
      const capture = journal.get(captureId);
      const wanted = [...new Set(rowPlugins)];
      const results = await turns.run(payer(context), context.signal, () =>
        presentAnalysis(capture, evidence, { rowPlugins: wanted, unmask }, deps.findings),
      );
      // Nothing has left yet. Without results nothing is read, and all these names are of plugins that there are.
      if (results.plugins !== undefined)
        journal.recordReading(captureId, actor(context), 'analysis_read', {
          rowPlugins: wanted,
          ...(unmask && { unmask }),
        });
      return { ...results, capture: present(capture) };
    },
    analyzeCapture: async ({ captureId, analysis, replace }, context) => {
      const spec = await readSpec(analysis, () => deps.admitToUnmask(context));
      return { capture: present(await analyzeAgain(deps, captureId, { actor: actor(context), spec, replace })) };
    },
    cancelAnalysis: async ({ captureId }, context) => {
      deps.analyses.cancel(captureId, actor(context));
      return { capture: present(journal.get(captureId)) };
    },
    listPlugins: async () => presentPlugins(deps.analyses.defaultProfile),
    listNodes: async () => {
      const running = journal.running();
      return {
        nodes: fleet
          .list()
          .map(({ node, online }) =>
            presentNode(node, online, running.get(node.uid) ?? '', symbols.status(node.kernel)),
          ),
      };
    },
    resolvePods: async (request, context) =>
      await podLanes.run(payer(context), context.signal, () => resolvePods(places, request, podsFor(context))),
    approveCapture: async ({ nodeName, reason, validFor }, context) => {
      checkNodeAndReason(nodeName, reason);
      const expiresAt = validity(validFor, approvalMs, 'an approval');
      const approval = { nodeName, reason, approvedBy: actor(context), expiresAt: expiresAt.toISOString() };
      journal.recordAct(approval.approvedBy, 'capture_approved', approval);
      approvals.put(approval);
      return { expiresAt: timestampFromDate(expiresAt) };
    },
    getVersion: async () => ({ version: deps.version }),
  };
}

function checkNodeAndReason(nodeName: string, reason: string): void {
  if (nodeName === '') throw new Fault('invalid_argument', 'node_name is missing: name the node to capture');
  if (reason.trim() === '' || reason.length > reasonLimit) {
    throw new Fault(
      'invalid_argument',
      `a reason of 1 to ${reasonLimit} characters is required: it stays in the evidence`,
    );
  }
}

const actor = (context: CallContext): string => actorOf(callerOf(context));
const payer = (context: CallContext): string => payerOf(callerOf(context));
