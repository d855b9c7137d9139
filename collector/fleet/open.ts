import { causeChain, Fault } from '@kcorder/proto/fault.ts';
import type { Logger } from 'pino';
import type { NamedContainer, NodeIdentity } from '../capture/capture.ts';
import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import { Acquisitions, type NodeInventory } from '../ingest/acquisitions.ts';
import { TypesTransfers } from '../ingest/kernel-types.ts';
import type { Journal } from '../journal/open.ts';
import { CaptureSlots, type TurnLimits } from './capture-slots.ts';
import { type CaptureLimits, Captures } from './captures.ts';
import { Fleet } from './fleet.ts';
import { askForTypes, type TypesAnswer } from './kernel-types.ts';
import { type StallLimits, startWatchdog } from './watchdog.ts';

/** The agents, and the captures that they are ordered to make. */
export interface OpenedFleet {
  readonly fleet: Fleet;
  readonly slots: CaptureSlots;
  readonly captures: Captures;
  readonly acquisitions: Acquisitions;
  readonly typesTransfers: TypesTransfers;
  /** Has an attached node with this digest send its kernel types into a directory. Throws only the signal's reason. */
  askForTypes(digest: string, directory: string, signal: AbortSignal): Promise<TypesAnswer>;
  /** Begins to end captures that stand still. */
  start(): void;
  /** Tells every stream that the collector ends, and lets go of its files, within 5 s; captures go on after a restart. */
  close(): Promise<void>;
}

/** The API server's word on nodes. */
export interface ClusterNodes {
  /** Returns why a node is none of the cluster's; undefined when it is one, and while that is not known. */
  strangeness(node: NodeIdentity): string | undefined;
  containersOn(nodeName: string): NamedContainer[];
  inStepAt(): Date | undefined;
}

/** Everything the fleet is made of. */
export interface FleetDeps {
  readonly config: TurnLimits & StallLimits & CaptureLimits;
  readonly version: string;
  readonly journal: Journal;
  readonly evidence: EvidenceDirectory;
  /** Asked only about agents that are attached; undefined outside of a cluster. */
  cluster(): ClusterNodes | undefined;
  readonly log: Logger;
}

/** Opens it, without an agent yet. */
export function openFleet({ config, version, journal, evidence, cluster, log }: FleetDeps): OpenedFleet {
  const { captures: captureJournal, approvals } = journal;
  const fleet = new Fleet(journal.nodes, (node) => cluster()?.strangeness(node));
  const acquisitions = new Acquisitions(captureJournal, evidence, version, (nodeName) =>
    inventoryOf(cluster(), nodeName),
  );
  const slots = new CaptureSlots(captureJournal, fleet, config);
  const captures = new Captures({
    ...{ journal: captureJournal, acquisitions, evidence, fleet, slots, approvals },
    limits: config,
  });
  const typesTransfers = new TypesTransfers();
  const complain = (error: unknown) => log.error({ causes: causeChain(error) }, 'a capture could not be ended');
  let stopWatchdog = (): void => undefined;
  return {
    ...{ fleet, slots, captures, acquisitions, typesTransfers },
    askForTypes: (digest, directory, signal) => askForTypes(fleet, typesTransfers, digest, directory, signal),
    start: () => {
      stopWatchdog = startWatchdog({
        ...{ journal: captureJournal, acquisitions, timeouts: config, slots },
        report: complain,
      });
    },
    close: async () => {
      stopWatchdog();
      try {
        await acquisitions.close();
      } finally {
        // After the uploads, which may take seconds: an agent attaches again half a second later if the ports are still open.
        fleet.detachAll(new Fault('unavailable', 'the collector is ending: retry in a moment'));
      }
    },
  };
}

function inventoryOf(cluster: ClusterNodes | undefined, nodeName: string): NodeInventory | undefined {
  const asOf = cluster?.inStepAt()?.toISOString();
  return cluster === undefined || asOf === undefined ? undefined : { containers: cluster.containersOn(nodeName), asOf };
}
