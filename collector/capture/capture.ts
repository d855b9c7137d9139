/** One range of physical memory, both ends inclusive. */
export interface RamRange {
  readonly start: bigint;
  readonly end: bigint;
}

/** What a node told of its kernel: see KernelDescriptor of the contract. */
export interface Kernel {
  readonly release: string;
  readonly banner: string;
  readonly buildId: string;
  readonly vmcoreinfo: string;
  readonly architecture: string;
  readonly cosBuildId: string;
  readonly bootId: string;
  readonly machineId: string;
  readonly lockdown: string;
  readonly ramRanges: readonly RamRange[];
  /** Unset in what was journaled before nodes told it. */
  readonly typesDigest?: string;
  readonly typesProblem?: string;
}

export interface NodeIdentity {
  readonly name: string;
  readonly uid: string;
}

/** A container as the node or the API server named it when the capture began. */
export interface NamedContainer {
  readonly podNamespace: string;
  readonly podName: string;
  readonly podUid: string;
  readonly containerName: string;
  /** Empty when the node could not tell it. */
  readonly containerId: string;
  /** Uid that the node has for a static pod, where the API server said it; `podUid` is then the mirror pod's. */
  readonly configHash?: string;
}

/** What an analysis runs: the plugins of a profile, or plugins by name with their arguments as text. */
export type AnalysisSpec = { readonly profile: string } | { readonly plugins: readonly PluginSpec[] };

/** A plugin to run. */
export interface PluginSpec {
  readonly name: string;
  readonly arguments?: Readonly<Record<string, string>>;
}

/** What holds for a capture from its request on. */
export interface Request {
  readonly id: string;
  readonly node: NodeIdentity;
  readonly requestedBy: string;
  readonly reason: string;
  readonly requestedAt: string;
  /** No image of this node may be larger. */
  readonly ceilingBytes: number;
  readonly kernel: Kernel;
  readonly agentVersion: string;
  /** The pods that it is about, by the API server's word; unset when it is about the node. */
  readonly pods?: readonly PodOnNode[];
  /** The second person, where one is asked for. */
  readonly approvedBy?: string;
  /** The schedule that asked for it, and the moment of the clock that it is for, or at which somebody triggered it. */
  readonly schedule?: { readonly name: string; readonly tick: string; readonly triggered?: true };
  /** False when no analysis follows. */
  readonly analyze?: boolean;
  /** Unset: the default profile of the collector that analyzes it. */
  readonly analysis?: AnalysisSpec;
}

/** A pod that ran on the node when the capture was asked for. */
export interface PodOnNode {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Uid that the node has for a static pod; `uid` is then the mirror pod's. */
  readonly configHash?: string;
}

/** Memory of a node that is not in its image: see LeftOutMemory of the contract. */
export interface LeftOutMemory {
  readonly kind: string;
  readonly bytes: number;
}

/** What holds for an acquisition from its start on. Times are ISO 8601, UTC, by the clock named. */
export interface AcquisitionStart {
  readonly acquisitionId: string;
  readonly acquirer: { readonly name: string; readonly version: string; readonly sha256: string };
  readonly argv: readonly string[];
  readonly startedAtAgent: string;
  readonly openedAt: string;
  /** Agent's clock minus the collector's when the upload was opened, in milliseconds. */
  readonly clockOffsetMs: number;
  readonly bootId: string;
  readonly containers: readonly NamedContainer[];
  /** When the API server's list of the node's containers, which is part of them, was last in step; unset outside of a cluster. */
  readonly inventoryAsOf?: string;
  /** Unset when nothing was left out, and when the agent did not tell. */
  readonly leftOutMemory?: readonly LeftOutMemory[];
}

/** The part of a start that a capture's state holds. Containers are kept beside it: they may be a megabyte, and a state is written often. */
export type KeptStart = Omit<AcquisitionStart, 'containers'>;

/** How the acquirer ended, as the agent saw it. */
export interface AcquisitionEnd {
  readonly bytes: number;
  readonly sha256: string;
  readonly exitCode: number;
  readonly signal: string;
  readonly stderrTail: string;
  readonly firstByteAtAgent: string;
  readonly lastByteAtAgent: string;
  readonly endedAtAgent: string;
  readonly canceled: boolean;
}

/** A break of the upload that was resumed at an offset. */
export interface Interruption {
  readonly at: string;
  readonly offsetBytes: number;
  readonly cause: string;
}

export type PartialReason =
  | 'acquirer_died'
  | 'acquirer_failed'
  | 'network_stall'
  | 'ceiling_exceeded'
  | 'bytes_missing'
  | 'image_malformed';
export type FailedReason =
  | 'preflight_refused'
  | 'order_expired'
  | 'agent_restarted'
  | 'acquirer_failed'
  | 'network_stall'
  | 'integrity_conflict'
  | 'storage_failed';

/** How the acquisition ended; final. */
export type Outcome =
  | { readonly kind: 'complete' }
  | { readonly kind: 'partial'; readonly reason: PartialReason; readonly detail: string }
  | { readonly kind: 'failed'; readonly reason: FailedReason; readonly detail: string }
  | { readonly kind: 'canceled'; readonly by: string };

/** The bytes that were kept. */
export interface Evidence {
  readonly bytes: number;
  readonly sha256: string;
  /** Name of the image in the capture's directory: the data may be moved as a whole. */
  readonly file: string;
}

export type AnalysisEnding =
  | { readonly kind: 'done' }
  /** `kept`: it was to add plugins to earlier results, and these are there. */
  | { readonly kind: 'failed'; readonly reason: string; readonly detail: string; readonly kept?: true }
  | { readonly kind: 'skipped'; readonly reason: string; readonly detail: string };

interface Acquired {
  readonly start: KeptStart;
  /** The newest 256; all of them are in the audit log. */
  readonly interruptions: readonly Interruption[];
}

/** Streams that were opened since the image last grew by a piece worth a stream, and the durable offset from which that counts. */
export interface Barren {
  readonly reopens: number;
  readonly fromBytes: number;
}

/** Where a capture is; each state holds only what is true in it. */
export type CaptureState =
  | { readonly phase: 'requested' }
  | ({
      readonly phase: 'acquiring';
      readonly epoch: number;
      readonly attempt: number;
      /** Unset before the first reopen. */
      readonly barren?: Barren;
    } & Acquired)
  | ({ readonly phase: 'sealing'; readonly outcome: Outcome; readonly end: AcquisitionEnd | undefined } & Acquired)
  | ({
      readonly phase: 'sealed';
      readonly outcome: Outcome;
      readonly evidence: Evidence;
      readonly endedAt: string;
    } & Acquired)
  | ({
      readonly phase: 'analyzing';
      /** How often it was begun; unset in what was journaled before that was counted. */
      readonly begun?: number;
      readonly outcome: Outcome;
      readonly evidence: Evidence;
      readonly endedAt: string;
    } & Acquired)
  | {
      readonly phase: 'done';
      readonly outcome: Outcome;
      readonly endedAt: string;
      readonly analysis: AnalysisEnding;
      /** Unset when no byte was acquired. */
      readonly evidence?: Evidence;
      readonly acquired?: Acquired;
    };

/** A capture: its request and where it is. */
export interface Capture {
  readonly request: Request;
  readonly state: CaptureState;
}
