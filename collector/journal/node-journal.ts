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

  /** Not waited for until it is on disk: a fleet that attaches at once would wait for thousands of syncs, and after a crash every agent comes again. */
  put(node: KnownNode): void {
    this.#database.exec('PRAGMA synchronous = NORMAL');
    try {
      this.#write(node);
    } finally {
      this.#database.exec('PRAGMA synchronous = FULL');
    }
  }

  #write(node: KnownNode): void {
    this.#database
      .prepare(
        `INSERT INTO nodes (uid, name, last_seen_at, agent_version, kernel, preflight) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (uid) DO UPDATE SET name = excluded.name, last_seen_at = excluded.last_seen_at,
         agent_version = excluded.agent_version, kernel = excluded.kernel, preflight = excluded.preflight`,
      )
      .run(node.uid, node.name, node.lastSeenAt, node.agentVersion, encode(node.kernel), encode(node.refusals));
  }

  /** By name and age, the most recently seen first where two share a name. A node that `newer` knows, by its uid, is taken from there. */
  list(newer: (uid: string) => KnownNode | undefined = () => undefined): KnownNode[] {
    const rows = this.#database.prepare('SELECT uid FROM nodes ORDER BY name, last_seen_at DESC').all();
    const read = this.#database.prepare('SELECT * FROM nodes WHERE uid = ?');
    return rows.flatMap(({ uid }) => newer(String(uid)) ?? toNode(read.get(String(uid)) ?? {}) ?? []);
  }

  /** The node last seen under a name. */
  named(name: string): KnownNode | undefined {
    const row = this.#database.prepare('SELECT * FROM nodes WHERE name = ? ORDER BY last_seen_at DESC').get(name);
    return row && toNode(row);
  }
}

/** Undefined for a row that cannot be read: its agent writes it anew when it attaches. */
function toNode(row: Record<string, unknown>): KnownNode | undefined {
  try {
    const kernel = decode<Kernel>(String(row.kernel));
    const refusals = decode<PreflightRefusal[]>(String(row.preflight));
    if (!Array.isArray(kernel.ramRanges) || !Array.isArray(refusals)) return undefined;
    return {
      uid: String(row.uid),
      name: String(row.name),
      lastSeenAt: String(row.last_seen_at),
      agentVersion: String(row.agent_version),
      kernel,
      refusals,
    };
  } catch {
    return undefined;
  }
}
