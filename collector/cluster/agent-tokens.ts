import { Fault } from '@kcorder/proto/fault.ts';
import type { V1Node, V1Pod, V1TokenReviewStatus } from '@kubernetes/client-node';
import type { Bearer } from '../identity/enrolment.ts';
import { ask, type Cluster, reasonOf } from './client.ts';

/** Which pods are agents. */
export interface AgentPods {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly daemonSet: string;
}

/** The audience that the projected token of an agent is made for. */
export const audience = 'kcorder';

/**
 * Checks the projected token of an agent's pod: the API server vouches for it and for our audience, it is the agents' service account, and the
 * pod that it is bound to lives, belongs to the agents' DaemonSet and runs on the node that it names. Throws unauthenticated with the first
 * of these that does not hold, cluster_unavailable.
 */
export async function checkAgentToken(cluster: Cluster, agents: AgentPods, token: string): Promise<Bearer> {
  const review = await ask(
    'review the token of an agent (create tokenreviews)',
    cluster.authentication.createTokenReview({ body: { spec: { token, audiences: [audience] } } }),
  );
  const { podName, podUid, nodeName, nodeUid } = boundTo(review?.status, agents);
  const pod = await ask(
    `get pod ${agents.namespace}/${podName}`,
    cluster.core.readNamespacedPod({ namespace: agents.namespace, name: podName }),
  );
  const daemonSet = await ask(
    `get the DaemonSet ${agents.namespace}/${agents.daemonSet}`,
    cluster.apps.readNamespacedDaemonSet({ namespace: agents.namespace, name: agents.daemonSet }),
  );
  const hostName = checkPod(pod, daemonSet?.metadata?.uid, podName, podUid, agents);
  if (nodeName !== '' && nodeName !== hostName)
    throw refused(`its pod ${podName} runs on node ${hostName}, the token was made for ${nodeName}`);
  const node = await ask(`get node ${hostName}`, cluster.core.readNode({ name: hostName }));
  const uid = node?.metadata?.uid;
  if (uid === undefined) throw refused(`its node ${hostName} is not there any more`);
  if (nodeUid !== '' && nodeUid !== uid)
    throw refused(`node ${hostName} was deleted and made again since the token was made`);
  // API servers before 1.30 put no node into the token.
  if (nodeUid === '' && isOlder(pod, node))
    throw refused(`its pod ${podName} is older than its node ${hostName}, which was deleted and made again`);
  return { node: { name: hostName, uid }, shownBy: { pod: podName, podUid }, holder: `pod/${podUid}` };
}

function boundTo(status: V1TokenReviewStatus | undefined, agents: AgentPods) {
  if (status?.authenticated !== true)
    throw refused(
      'the API server does not vouch for it: it has expired, its pod is gone, or it was made for another audience',
      // For the records alone: whoever came is a stranger.
      status?.error,
    );
  if (!(status.audiences ?? []).includes(audience)) throw refused(`it was not made for the audience ${audience}`);
  const account = `system:serviceaccount:${agents.namespace}:${agents.serviceAccount}`;
  if (status.user?.username !== account)
    throw refused(`it is of ${status.user?.username ?? 'nobody'}, agents are ${account}`);
  const extra = (key: string): string => status.user?.extra?.[`authentication.kubernetes.io/${key}`]?.[0] ?? '';
  const podName = extra('pod-name');
  const podUid = extra('pod-uid');
  if (podName === '' || podUid === '') throw refused('it is bound to no pod');
  return { podName, podUid, nodeName: extra('node-name'), nodeUid: extra('node-uid') };
}

/** The name of the node that the pod runs on. */
function checkPod(
  pod: V1Pod | undefined,
  daemonSetUid: string | undefined,
  podName: string,
  podUid: string,
  agents: AgentPods,
): string {
  if (pod?.metadata?.uid !== podUid) throw refused(`its pod ${podName} is gone`);
  if (pod.metadata.deletionTimestamp !== undefined) throw refused(`its pod ${podName} is being deleted`);
  if (pod.spec?.serviceAccountName !== agents.serviceAccount)
    throw refused(`its pod ${podName} has the service account ${pod.spec?.serviceAccountName ?? ''}`);
  const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller === true);
  if (owner?.kind !== 'DaemonSet' || daemonSetUid === undefined || owner.uid !== daemonSetUid)
    throw refused(`its pod ${podName} does not belong to the DaemonSet ${agents.daemonSet}`);
  const { nodeName } = pod.spec;
  if (nodeName === undefined || nodeName === '') throw refused(`its pod ${podName} has no node yet`);
  return nodeName;
}

/** Clocks of two API servers may differ by this. */
const skewMs = 60_000;

function isOlder(pod: V1Pod | undefined, node: V1Node | undefined): boolean {
  const [podMs, nodeMs] = [pod, node].map((one) => one?.metadata?.creationTimestamp?.getTime() ?? Number.NaN);
  return (podMs ?? Number.NaN) + skewMs < (nodeMs ?? Number.NaN);
}

const refused = (why: string, cause?: string): Fault =>
  new Fault('unauthenticated', `the token of this agent is not taken: ${why}`, {
    cause: reasonOf(cause),
  });
