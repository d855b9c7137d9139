import type { DatabaseSync } from 'node:sqlite';
import type { Kernel, NodeIdentity } from '../capture/capture.ts';
import { decode, encode } from './encode.ts';

/** Something that stands in the way of a capture, in the agent's words. */
export interface PreflightRefusal {
  /** Number of the contract's PreflightReason. */
  readonly reason: number;
  readonly message: string;
}

/** A node as its agent last described it. */
export interface KnownNode extends NodeIdentity {
  readonly lastSeenAt: string;
  readonly agentVersion: string;
  readonly kernel: Kernel;
  readonly refusals: readonly PreflightRefusal[];
}

/** The nodes that have ever attached. */
export class NodeJournal {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  put(node: KnownNode): void {
    this.#database
      .prepare(
        `INSERT INTO nodes (uid, name, last_seen_at, agent_version, kernel, preflight) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (uid) DO UPDATE SET name = excluded.name, last_seen_at = excluded.last_seen_at,
         agent_version = excluded.agent_version, kernel = excluded.kernel, preflight = excluded.preflight`,
      )
      .run(node.uid, node.name, node.lastSeenAt, node.agentVersion, encode(node.kernel), encode(node.refusals));
  }

  /** By name and age, the most recently seen first where two share a name. */
  list(): KnownNode[] {
    return this.#database.prepare('SELECT * FROM nodes ORDER BY name, last_seen_at DESC').all().map(toNode);
  }

  /** The node last seen under a name. */
  named(name: string): KnownNode | undefined {
    return this.list().find((node) => node.name === name);
  }
}

function toNode(row: Record<string, unknown>): KnownNode {
  return {
    uid: String(row.uid),
    name: String(row.name),
    lastSeenAt: String(row.last_seen_at),
    agentVersion: String(row.agent_version),
    kernel: decode<Kernel>(String(row.kernel)),
    refusals: decode<PreflightRefusal[]>(String(row.preflight)),
  };
}
