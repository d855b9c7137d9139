import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { Fault } from '@kcorder/proto/fault.ts';
import type {
  PodReference,
  ResolvePodsRequest,
  ResolvePodsResponseSchema,
} from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import type { PodOnNode } from '../capture/capture.ts';

/** Where pods run, by the API server's word at this moment. */
export interface PodPlaces {
  /** Throws pod_unknown, cluster_unavailable. */
  placeOf(pod: { namespace: string; name: string }): Promise<PodOnNode & { nodeName: string }>;
  /** Throws pod_unknown, invalid_argument, cluster_unavailable. */
  placesOf(namespace: string, labels: string): Promise<(PodOnNode & { nodeName: string })[]>;
}

const mostPods = 64;

/** Throws permission_denied when the caller may not list the pods of a namespace, empty for all: where they run is told to nobody else. */
export type PodRight = (namespace: string) => Promise<void>;

/** The nodes that the pods run on, by name. Throws invalid_argument, unimplemented outside of a cluster, and what PodRight and PodPlaces throw. */
export async function resolvePods(
  places: PodPlaces | undefined,
  { target }: ResolvePodsRequest,
  mayList: PodRight,
): Promise<MessageInitShape<typeof ResolvePodsResponseSchema>> {
  const known = required(places);
  const find = async () => {
    switch (target.case) {
      case 'pod':
        await mayList(target.value.namespace);
        return [await known.placeOf(target.value)];
      case 'selector':
        if (target.value.labels === '')
          throw new Fault('invalid_argument', 'the selector has no labels: give some, as app=web');
        await mayList(target.value.namespace);
        return await known.placesOf(target.value.namespace, target.value.labels);
      case 'allInNamespace':
        if (target.value === '') throw new Fault('invalid_argument', 'the namespace is empty: name one');
        await mayList(target.value);
        return await known.placesOf(target.value, '');
      case undefined:
        throw new Fault('invalid_argument', 'no target: give a pod, a selector or a namespace');
    }
  };
  const pods = await find();
  const names = [...new Set(pods.map(({ nodeName }) => nodeName))].sort();
  return {
    nodes: names.map((nodeName) => ({
      nodeName,
      pods: pods.filter((pod) => pod.nodeName === nodeName).map(({ nodeName: _, ...pod }) => pod),
    })),
    asOf: timestampFromDate(new Date()),
  };
}

/** The pods of a wish, which must run on its node now: one may have moved since it was looked for. Throws invalid_argument, pod_unknown, permission_denied. */
export async function podsOn(
  places: PodPlaces | undefined,
  nodeName: string,
  wanted: readonly PodReference[],
  mayList: PodRight,
): Promise<PodOnNode[]> {
  if (wanted.length === 0) return [];
  if (wanted.length > mostPods) throw new Fault('invalid_argument', `a capture is about ${mostPods} pods at most`);
  const known = required(places);
  for (const namespace of new Set(wanted.map((pod) => pod.namespace))) await mayList(namespace);
  const pods = await Promise.all(wanted.map((pod) => known.placeOf(pod)));
  return pods.map(({ nodeName: place, ...pod }, index) => {
    const uid = wanted[index]?.uid ?? '';
    if (place !== nodeName || (uid !== '' && uid !== pod.uid)) {
      const what =
        place === nodeName ? 'is another pod of the same name by now' : `runs on node ${place}, not on ${nodeName}`;
      throw new Fault('pod_unknown', `pod ${pod.namespace}/${pod.name} ${what}: look for it again`);
    }
    return pod;
  });
}

function required(places: PodPlaces | undefined): PodPlaces {
  if (places !== undefined) return places;
  throw new Fault('unimplemented', 'this collector knows no cluster, so it cannot find pods: name the node');
}
