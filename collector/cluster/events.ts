import { hostname } from 'node:os';
import type { CoreV1Event } from '@kubernetes/client-node';
import type { Capture } from '../capture/capture.ts';
import { ask, type Cluster } from './client.ts';

/** What `kubectl describe` shows on a node or pod of a capture. */
export interface Notice {
  readonly type: 'Normal' | 'Warning';
  /** UpperCamelCase, as the reasons of Kubernetes. */
  readonly reason: string;
  readonly message: string;
}

/** The notice that a capture is worth in its present state; undefined between its landmarks. */
export function noticeOf({ request, state }: Capture): Notice | undefined {
  const { id, requestedBy } = request;
  const ordered = `memory capture ${id}, ordered by ${requestedBy}`;
  if (state.phase === 'acquiring' && state.attempt > 1) return undefined;
  if (state.phase === 'acquiring')
    return { type: 'Normal', reason: 'MemoryCaptureStarted', message: `${ordered}, has begun` };
  if (state.phase !== 'sealed' && !(state.phase === 'done' && state.evidence === undefined)) return undefined;
  const { outcome } = state;
  switch (outcome.kind) {
    case 'complete':
      return { type: 'Normal', reason: 'MemoryCaptureComplete', message: `${ordered}, is complete` };
    case 'partial':
      return { type: 'Warning', reason: 'MemoryCapturePartial', message: `${ordered}, is partial: ${outcome.reason}` };
    case 'failed':
      return { type: 'Warning', reason: 'MemoryCaptureFailed', message: `${ordered}, failed: ${outcome.reason}` };
    case 'canceled':
      return { type: 'Warning', reason: 'MemoryCaptureCanceled', message: `${ordered}, was canceled by ${outcome.by}` };
  }
}

const component = 'kcorder-collector';
const longestMessage = 1024;

/** Puts a notice on the node of a capture and on the pods that it is about. Throws cluster_unavailable; nothing depends on it. */
export async function tellCluster(cluster: Cluster, { request }: Capture, notice: Notice): Promise<void> {
  const { node, pods = [] } = request;
  // Events of objects without a namespace belong into this one.
  const places = [
    { namespace: 'default', involvedObject: { apiVersion: 'v1', kind: 'Node', name: node.name, uid: node.uid } },
    // The kubelet and `kubectl describe` put the events of a static pod under its config hash.
    ...pods.map(({ namespace, name, uid, configHash = uid }) => ({
      namespace,
      involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace, name, uid: configHash },
    })),
  ];
  const now = new Date();
  for (const { namespace, involvedObject } of places) {
    const body: CoreV1Event = {
      metadata: { generateName: `${request.id}-`, namespace },
      involvedObject,
      type: notice.type,
      reason: notice.reason,
      message: notice.message.slice(0, longestMessage),
      source: { component },
      reportingComponent: component,
      reportingInstance: hostname(),
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
    };
    await ask(`create an event in namespace ${namespace}`, cluster.core.createNamespacedEvent({ namespace, body }));
  }
}
