import { Fault } from '@kcorder/proto/fault.ts';
import type { PodReference, ResolvePodsRequest } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { inTurn } from '../follow/pause.ts';
import { momentOf, spanText } from '../output/figures.ts';
import type { Session } from '../session.ts';

/** How pods are meant on the command line. */
export type PodsMeant =
  | { readonly case: 'pods'; readonly pods: readonly { readonly namespace: string; readonly name: string }[] }
  | { readonly case: 'selector'; readonly namespace: string; readonly labels: string }
  | { readonly case: 'namespace'; readonly namespace: string };

/** A node and those of the pods that run on it. */
export interface PodsOfNode {
  readonly nodeName: string;
  readonly pods: readonly PodReference[];
}

const oldMs = 60_000;
/** Thousands of pods are read in hundreds of pages. */
const deadlineMs = 60_000;

/** Asks the collector which nodes the pods run on; nodes by name. Throws pod_unknown when there is none. */
export async function resolvePods(session: Session, meant: PodsMeant): Promise<PodsOfNode[]> {
  const nodes = new Map<string, PodReference[]>();
  const signal = session.terminal.interrupt;
  for (const target of targetsOf(meant)) {
    const answer = await inTurn(() => session.calls.resolvePods({ target }, { signal, deadlineMs }), signal);
    const ageMs = Date.now() - (momentOf(answer.asOf) ?? Date.now());
    if (ageMs > oldMs)
      session.warn(`what the collector knows of the cluster is ${spanText(ageMs)} old: pods may have moved`);
    for (const { nodeName, pods } of answer.nodes) {
      const known = nodes.get(nodeName) ?? [];
      nodes.set(nodeName, [...known, ...pods.filter((pod) => !known.some((other) => podName(other) === podName(pod)))]);
    }
  }
  const homeless = nodes.get('') ?? [];
  if (homeless.length > 0) session.warn(`not on any node yet: ${homeless.map(podName).join(', ')}`);
  nodes.delete('');
  if (nodes.size === 0) {
    throw new Fault(
      'pod_unknown',
      `no running pod ${meaning(meant)}: nothing is captured. \`kubectl get pods -A -o wide\` shows pods and their nodes.`,
    );
  }
  return [...nodes]
    .map(([nodeName, pods]) => ({ nodeName, pods }))
    .toSorted((a, b) => (a.nodeName < b.nodeName ? -1 : 1));
}

/** A pod as people write it. */
export function podName({ namespace, name }: Pick<PodReference, 'namespace' | 'name'>): string {
  return `${namespace}/${name}`;
}

type Target = Exclude<ResolvePodsRequest['target'], { case: undefined }>;
type TargetInit =
  | { case: 'pod'; value: { namespace: string; name: string } }
  | { case: 'selector'; value: { namespace: string; labels: string } }
  | Extract<Target, { case: 'allInNamespace' }>;

function targetsOf(meant: PodsMeant): TargetInit[] {
  switch (meant.case) {
    case 'pods':
      return meant.pods.map((value) => ({ case: 'pod', value }));
    case 'selector':
      return [{ case: 'selector', value: { namespace: meant.namespace, labels: meant.labels } }];
    case 'namespace':
      return [{ case: 'allInNamespace', value: meant.namespace }];
  }
}

function meaning(meant: PodsMeant): string {
  switch (meant.case) {
    case 'pods':
      return `is named ${meant.pods.map(podName).join(' or ')}`;
    case 'selector':
      return `has the labels ${meant.labels}${meant.namespace === '' ? '' : ` in namespace ${meant.namespace}`}`;
    case 'namespace':
      return `is in namespace ${meant.namespace}`;
  }
}
