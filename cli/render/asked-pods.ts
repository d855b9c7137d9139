import type { GetAnalysisResponse, PodReference } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';

interface PodPlace {
  readonly podNamespace: string;
  readonly podName: string;
  readonly podUid: string;
}

/**
 * Returns true for a place in one of the pods, by uid or by name. The node has another uid for a static pod than the API server: its config hash,
 * which is an annotation and so counts only where no name says more.
 */
export function isInPods({ podNamespace, podName, podUid }: PodPlace, pods: readonly PodReference[]): boolean {
  return pods.some(
    ({ namespace, name, uid, configHash }) =>
      (uid !== '' && uid === podUid) ||
      (namespace === podNamespace && name === podName && name !== '') ||
      (configHash === podUid && podName === ''),
  );
}

/** Returns those of the pods that an analysis found no trace of. */
export function podsWithoutTrace(analysis: GetAnalysisResponse, pods: readonly PodReference[]): PodReference[] {
  const places = [...analysis.containers, ...analysis.processes.flatMap(({ placement }) => placement ?? [])];
  return pods.filter((pod) => !places.some((place) => isInPods(place, [pod])));
}
