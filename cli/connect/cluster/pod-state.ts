import type { V1Pod } from '@kubernetes/client-node';

/** How a pod is, for people. */
export interface PodState {
  readonly ready: boolean;
  /** `running`, `pending: Unschedulable: 0/3 nodes are available`, `not ready: collector: CrashLoopBackOff`, … */
  readonly text: string;
}

/** Whether a pod is ready, and if not, what it says of the reason. */
export function podState({ metadata, status }: V1Pod): PodState {
  if (metadata?.deletionTimestamp !== undefined) return { ready: false, text: 'ending' };
  const conditions = status?.conditions ?? [];
  if (conditions.some(({ type, status: value }) => type === 'Ready' && value === 'True')) {
    return { ready: true, text: 'ready' };
  }
  const containers = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  const why = containers
    .filter(({ ready }) => !ready)
    .map(({ name, state }) => {
      const held = state?.waiting ?? state?.terminated;
      return held === undefined ? '' : [name, held.reason, held.message].filter(Boolean).join(': ');
    })
    .find((text) => text !== '');
  const unscheduled = conditions.find(({ type, status: value }) => type === 'PodScheduled' && value === 'False');
  const refused = unscheduled === undefined ? '' : [unscheduled.reason, unscheduled.message].filter(Boolean).join(': ');
  const phase = status?.phase === 'Running' ? 'not ready' : (status?.phase ?? 'unknown').toLowerCase();
  return {
    ready: false,
    text: [phase, why ?? refused, status?.message ?? ''].filter((part) => part !== '').join(': '),
  };
}
