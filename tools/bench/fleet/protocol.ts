/** A node of the fleet, and what its agent enrols with. */
export interface FleetNode {
  readonly name: string;
  /** Its kernel is made of it. */
  readonly number: number;
  readonly joinToken: string;
}

/** What a process of agents is told. */
export type AgentsCommand =
  | {
      readonly do: 'enrol';
      /** host:port. */
      readonly apiAddress: string;
      /** PEM: who may vouch for the collector. */
      readonly ca: string;
      readonly nodes: readonly FleetNode[];
      /** Whether a capture brings a page of memory, or nothing. */
      readonly uploads: boolean;
    }
  /** All agents at once, as after a restart of the collector. */
  | { readonly do: 'attach'; readonly address: string }
  | { readonly do: 'count' }
  | { readonly do: 'detach' };

/** How a fleet stands, counted since its start. */
export interface Standing {
  readonly standing: number;
  /** Streams that have ended unasked. */
  readonly losses: number;
  /** Tries to attach that ended before the welcome. */
  readonly failures: number;
  /** Why one of them did; empty when none has. */
  readonly lastFailure: string;
}

/** What it says: that a command was carried out, or that an order has arrived. */
export type AgentsReport =
  | { readonly did: 'enrol' | 'attach' | 'detach' }
  | ({ readonly did: 'count' } & Standing)
  /** On the monotonic clock. */
  | { readonly captureId: string; readonly atMs: number };
