import type { Api } from '../../connect/cluster/api.ts';
import type { Finding } from './check.ts';

const label = 'pod-security.kubernetes.io/enforce';

/** The command that lets the agents' pods in. */
export function privilegedCommand(namespace: string): string {
  return `kubectl label namespace ${namespace} ${label}=privileged --overwrite`;
}

/** Whether the namespace takes privileged pods, which agents are. */
export async function checkPodSecurity(api: Api, namespace: string): Promise<Finding> {
  const found = await api.find({ verb: 'get', resource: `namespaces/${namespace}`, namespace: '' }, (options) =>
    api.core.readNamespace({ name: namespace }, options),
  );
  if (found === undefined) return { state: 'fail', detail: `there is no namespace ${namespace}` };
  const level = found.metadata?.labels?.[label];
  if (level === 'privileged') return { state: 'ok', detail: `namespace ${namespace} takes privileged pods` };
  const todo = privilegedCommand(namespace);
  if (level === undefined) {
    const detail = `namespace ${namespace} has no label ${label}: what the cluster does without one decides whether agents may run`;
    return { state: 'warn', detail, todo };
  }
  return { state: 'fail', detail: `namespace ${namespace} enforces ${level}, and agents are privileged`, todo };
}
