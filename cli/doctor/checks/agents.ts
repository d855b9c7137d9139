import type { V1DaemonSet, V1Node, V1Pod } from '@kubernetes/client-node';
import type { Api } from '../../connect/cluster/api.ts';
import { podState } from '../../connect/cluster/pod-state.ts';
import { type Finding, someOf } from './check.ts';
import { privilegedCommand } from './pod-security.ts';

/** Where agents are looked for. */
export interface AgentPlace {
  readonly namespace: string;
  readonly release: string | undefined;
}

/** Whether the DaemonSet has its pods, and if not, why. */
export async function checkDaemonSet(api: Api, place: AgentPlace): Promise<Finding> {
  const { namespace } = place;
  const labelSelector = agentLabels(place);
  const { items } = await api.ask({ verb: 'list', resource: 'daemonsets', namespace }, (options) =>
    api.apps.listNamespacedDaemonSet({ namespace, labelSelector }, options),
  );
  const [set] = items;
  const name = set?.metadata?.name;
  if (set === undefined || name === undefined) {
    return {
      state: 'fail',
      detail: `there is no DaemonSet of agents in namespace ${namespace}`,
      todo: 'install the chart with its agents; without one on it no node can be captured',
    };
  }
  const { desiredNumberScheduled: desired = 0, numberReady: ready = 0 } = set.status ?? {};
  if (desired === 0) {
    return {
      state: 'warn',
      detail: `${name} wants no pod at all: no node fits its nodeSelector, affinity and tolerations`,
      todo: `kubectl -n ${namespace} describe daemonset ${name}`,
    };
  }
  const detail = `${name}: ${ready} of ${desired} pods are ready`;
  if (ready >= desired) return { state: 'ok', detail };
  const reasons = [...(await failedCreations(api, namespace, set)), ...(await unreadyPods(api, place))];
  const forbidden = reasons.some((reason) => /PodSecurity|violates/.test(reason));
  const why = reasons.length === 0 ? 'no event tells why (they last an hour)' : someOf(reasons);
  return {
    state: 'fail',
    detail: `${detail}: ${why}`,
    todo: forbidden ? privilegedCommand(namespace) : `kubectl -n ${namespace} describe daemonset ${name}`,
  };
}

/** Nodes on which no agent runs, with the taints that may be the cause. */
export async function checkNodes(api: Api, place: AgentPlace): Promise<Finding> {
  const { items: nodes } = await api.ask({ verb: 'list', resource: 'nodes', namespace: '' }, (options) =>
    api.core.listNode({}, options),
  );
  const pods = await agentPods(api, place);
  const covered = new Set(pods.map(({ spec }) => spec?.nodeName));
  const linux = nodes.filter(({ metadata }) => (metadata?.labels?.['kubernetes.io/os'] ?? 'linux') === 'linux');
  const bare = linux.filter(({ metadata }) => !covered.has(metadata?.name));
  if (bare.length === 0) return { state: 'ok', detail: `each of ${linux.length} nodes has one` };
  return {
    state: 'warn',
    detail: `${bare.length} of ${linux.length} nodes have no agent and cannot be captured: ${someOf(bare.map(nodeText))}`,
    todo: bare.some(({ spec }) => (spec?.taints ?? []).length > 0)
      ? "give the agents' DaemonSet tolerations for these taints"
      : `kubectl -n ${place.namespace} get pods -o wide -l ${agentLabels(place)}`,
  };
}

function nodeText({ metadata, spec }: V1Node): string {
  const taints = (spec?.taints ?? []).map(({ key, value, effect }) => `${key}${value ? `=${value}` : ''}:${effect}`);
  return `${metadata?.name ?? ''}${taints.length === 0 ? '' : ` (${taints.join(', ')})`}`;
}

function agentLabels({ release }: AgentPlace): string {
  const labels = 'app.kubernetes.io/name=kcorder,app.kubernetes.io/component=agent';
  return release === undefined ? labels : `${labels},app.kubernetes.io/instance=${release}`;
}

async function agentPods(api: Api, place: AgentPlace): Promise<V1Pod[]> {
  const { namespace } = place;
  const labelSelector = agentLabels(place);
  const { items } = await api.ask({ verb: 'list', resource: 'pods', namespace }, (options) =>
    api.core.listNamespacedPod({ namespace, labelSelector }, options),
  );
  return items;
}

async function unreadyPods(api: Api, place: AgentPlace): Promise<string[]> {
  const pods = await agentPods(api, place);
  return pods
    .filter((pod) => !podState(pod).ready)
    .map((pod) => `${pod.metadata?.name ?? ''} on ${pod.spec?.nodeName ?? 'no node'} is ${podState(pod).text}`);
}

/** What the API server said when it refused pods of a DaemonSet. Nothing where events may not be read. */
async function failedCreations(api: Api, namespace: string, { metadata, status }: V1DaemonSet): Promise<string[]> {
  const fieldSelector = `involvedObject.kind=DaemonSet,involvedObject.name=${metadata?.name ?? ''},reason=FailedCreate`;
  const events = await api
    .ask({ verb: 'list', resource: 'events', namespace }, (options) =>
      api.core.listNamespacedEvent({ namespace, fieldSelector }, options),
    )
    .catch(() => undefined);
  const messages = (events?.items ?? []).map(({ message = '' }) => message.replace(/pods "[^"]*" is/, 'pods are'));
  const conditions = (status?.conditions ?? []).map(({ message = '' }) => message);
  return [...new Set([...messages, ...conditions])].filter((message) => message !== '');
}
