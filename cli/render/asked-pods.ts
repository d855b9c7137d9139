import type { GetAnalysisResponse, PodReference } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';

interface PodPlace {
  readonly podNamespace: string;
  readonly podName: string;
  readonly podUid: string;
}

/** Whether a place is in one of the pods, by uid or by name: the node names static pods by another uid than the API server. */
export function isInPods({ podNamespace, podName, podUid }: PodPlace, pods: readonly PodReference[]): boolean {
  return pods.some(
    ({ namespace, name, uid }) =>
      (uid !== '' && uid === podUid) || (namespace === podNamespace && name === podName && name !== ''),
  );
}

/** Those of the pods that an analysis found no trace of. */
export function podsWithoutTrace(analysis: GetAnalysisResponse, pods: readonly PodReference[]): PodReference[] {
  const places = [...analysis.containers, ...analysis.processes.flatMap(({ placement }) => placement ?? [])];
  return pods.filter((pod) => !places.some((place) => isInPods(place, [pod])));
}
