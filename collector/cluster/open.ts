import { oneAtATime } from '../background/one-at-a-time.ts';
import type { Capture, NamedContainer, NodeIdentity } from '../capture/capture.ts';
import type { AuthorityStore } from '../identity/authority-store.ts';
import type { CredentialCheck } from '../identity/enrolment.ts';
import type { Reviewer } from '../identity/person.ts';
import { type AgentPods, checkAgentToken } from './agent-tokens.ts';
import { type AuthorityNames, SecretStore } from './authority-secret.ts';
import { type Cluster, openCluster } from './client.ts';
import { noticeOf, tellCluster } from './events.ts';
import { ExpectedAgents } from './expected-agents.ts';
import { Inventory, type InventoryEvents } from './inventory.ts';
import { ClusterReviewer } from './people.ts';
import { type Asked, type PlacedPod, type PodName, placeOf, placesOf } from './pods.ts';
import { type Fitting, nodesThatFit } from './selection.ts';

/** All that the collector has of a cluster. */
export interface ClusterServices {
  readonly store: AuthorityStore;
  readonly checkAgent: CredentialCheck;
  readonly reviewer: Reviewer;
  /** When the list of nodes and pods was last in step with the API server. */
  readonly inStepAt: () => Date | undefined;
  /** How many agents the DaemonSet wants; undefined while that is not known. */
  readonly agentsExpected: () => number | undefined;
  containersOn(nodeName: string): NamedContainer[];
  /** What a node is short of, as MemoryPressure, as far as it is known. */
  pressureOn(nodeName: string): string[];
  /** The uid of the node that has this name now, as far as it is known. */
  nodeUid(nodeName: string): string | undefined;
  /** The nodes that fit now, by the API server's word. Throws cluster_unavailable. */
  nodesThatFit(wanted: Fitting): Promise<NodeIdentity[]>;
  /** Why a node is none of the cluster's; undefined when it is one, and while that is not known. */
  strangeness(node: NodeIdentity): string | undefined;
  placeOf(pod: PodName, asked: Asked): Promise<PlacedPod>;
  placesOf(namespace: string, labels: string, asked: Asked): Promise<PlacedPod[]>;
  /** Puts an Event on the node and the pods of a capture when it has come to a landmark. Throws cluster_unavailable. */
  tell(capture: Capture): Promise<void>;
  close(): void;
}

/**
 * Begins to follow the nodes and pods of a cluster, the one that this pod runs in unless told otherwise; with `outsiders` there are agents on nodes that
 * are none of it. Throws config_invalid outside of a cluster.
 */
export function openClusterServices(
  names: AuthorityNames,
  agents: AgentPods,
  outsiders: boolean,
  events: InventoryEvents,
  cluster: Cluster = openCluster(),
): ClusterServices {
  const inventory = new Inventory(cluster, events);
  inventory.start();
  const expected = new ExpectedAgents(cluster, agents, (error) => events.failed(error));
  expected.start();
  // Schedules of one moment are many, and each may read every pod of the cluster: together they would hold up everybody else.
  const inTurn = oneAtATime();
  return {
    store: new SecretStore(cluster, names),
    checkAgent: (token) => checkAgentToken(cluster, agents, token),
    reviewer: new ClusterReviewer(cluster),
    inStepAt: () => inventory.inStepAt,
    agentsExpected: () => expected.count,
    containersOn: (nodeName) => inventory.containersOn(nodeName),
    pressureOn: (nodeName) => inventory.pressureOn(nodeName),
    nodeUid: (nodeName) => inventory.nodeUid(nodeName),
    nodesThatFit: (wanted) => nodesThatFit(cluster, wanted, inTurn),
    strangeness: (node) => inventory.strangeness(node, outsiders),
    placeOf: (pod, asked) => placeOf(cluster, pod, asked),
    placesOf: (namespace, labels, asked) => placesOf(cluster, namespace, labels, asked),
    tell: async (capture) => {
      const notice = noticeOf(capture);
      if (notice !== undefined) await tellCluster(cluster, capture, notice);
    },
    close: () => {
      expected.stop();
      inventory.stop();
    },
  };
}
