import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { Fault } from '@kcorder/proto/fault.ts';
import type {
  PodReference,
  ResolvePodsRequest,
  ResolvePodsResponseSchema,
} from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import type { PodOnNode } from '../capture/capture.ts';

/** Asks the API server one question, when it is its turn; throws what the question throws, or why none is asked any more. */
export type Asked = <T>(question: () => Promise<T>) => Promise<T>;

/** Where pods run, by the API server's word at this moment. */
export interface PodPlaces {
  /** Throws pod_unknown, cluster_unavailable. */
  placeOf(pod: { namespace: string; name: string }, asked: Asked): Promise<PodOnNode & { nodeName: string }>;
  /** Throws pod_unknown, invalid_argument, cluster_unavailable. */
  placesOf(namespace: string, labels: string, asked: Asked): Promise<(PodOnNode & { nodeName: string })[]>;
}

const mostPods = 64;
const namespaceShape = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const podShape = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;

/** How a caller looks for pods. */
export interface PodReading {
  /** Throws permission_denied when the caller may not list the pods of a namespace, empty for all: where they run is told to nobody else. */
  mayList(namespace: string): Promise<void>;
  readonly asked: Asked;
}

/** The nodes that the pods run on, by name. Throws invalid_argument, unimplemented outside of a cluster, and what PodReading and PodPlaces throw. */
export async function resolvePods(
  places: PodPlaces | undefined,
  { target }: ResolvePodsRequest,
  { mayList, asked }: PodReading,
): Promise<MessageInitShape<typeof ResolvePodsResponseSchema>> {
  const known = required(places);
  const find = async () => {
    switch (target.case) {
      case 'pod':
        checkPod(target.value);
        await mayList(target.value.namespace);
        return [await known.placeOf(target.value, asked)];
      case 'selector':
        if (target.value.labels === '')
          throw new Fault('invalid_argument', 'the selector has no labels: give some, as app=web');
        if (target.value.namespace !== '') checkNamespace(target.value.namespace);
        await mayList(target.value.namespace);
        return await known.placesOf(target.value.namespace, target.value.labels, asked);
      case 'allInNamespace':
        if (target.value === '') throw new Fault('invalid_argument', 'the namespace is empty: name one');
        checkNamespace(target.value);
        await mayList(target.value);
        return await known.placesOf(target.value, '', asked);
      case undefined:
        throw new Fault('invalid_argument', 'no target: give a pod, a selector or a namespace');
    }
  };
  const pods = await find();
  const byNode = [...Map.groupBy(pods, ({ nodeName }) => nodeName)].sort(([one], [other]) => (one < other ? -1 : 1));
  return {
    nodes: byNode.map(([nodeName, group]) => ({ nodeName, pods: group.map(({ nodeName: _, ...pod }) => pod) })),
    asOf: timestampFromDate(new Date()),
  };
}

/** The pods of a wish, which must run on its node now: one may have moved since it was looked for. Throws invalid_argument, pod_unknown, permission_denied. */
export async function podsOn(
  places: PodPlaces | undefined,
  nodeName: string,
  wanted: readonly PodReference[],
  { mayList, asked }: PodReading,
): Promise<PodOnNode[]> {
  if (wanted.length === 0) return [];
  if (wanted.length > mostPods) throw new Fault('invalid_argument', `a capture is about ${mostPods} pods at most`);
  const known = required(places);
  wanted.forEach(checkPod);
  for (const namespace of new Set(wanted.map((pod) => pod.namespace))) await mayList(namespace);
  const found = new Map<string, PodOnNode>();
  // One after the other, and each once: a pod may be so large that reading it holds up everybody else.
  for (const { namespace, name, uid } of wanted) {
    const key = `${namespace}/${name}`;
    if (found.has(key)) throw new Fault('invalid_argument', `pod ${key} is named twice: name each pod once`);
    const { nodeName: place, ...pod } = await known.placeOf({ namespace, name }, asked);
    if (place !== nodeName || (uid !== '' && uid !== pod.uid)) {
      const what =
        place === nodeName ? 'is another pod of the same name by now' : `runs on node ${place}, not on ${nodeName}`;
      throw new Fault('pod_unknown', `pod ${pod.namespace}/${pod.name} ${what}: look for it again`);
    }
    found.set(key, pod);
  }
  return [...found.values()];
}

/** Throws invalid_argument for a name that none has: in an address of the API server, ".." would name something else. */
function checkNamespace(namespace: string): void {
  if (!namespaceShape.test(namespace))
    throw new Fault('invalid_argument', `"${namespace}" is not a namespace: see 'kubectl get namespaces'`);
}

function checkPod({ namespace, name }: { readonly namespace: string; readonly name: string }): void {
  checkNamespace(namespace);
  if (!podShape.test(name))
    throw new Fault('invalid_argument', `"${name}" is not the name of a pod: see 'kubectl get pods -n ${namespace}'`);
}

function required(places: PodPlaces | undefined): PodPlaces {
  if (places !== undefined) return places;
  throw new Fault('unimplemented', 'this collector knows no cluster, so it cannot find pods: name the node');
}
