import type { DatabaseSync } from 'node:sqlite';

const unsealed: readonly unknown[] = ['requested', 'acquiring', 'sealing'];

/** Whether a capture of this phase still has to be acquired or sealed. */
export const isUnsealed = (phase: unknown): boolean => unsealed.includes(phase);

/** Answers frequent questions about captures that have not ended from columns, without reading whole captures. */
export class OpenCaptures {
  readonly #columns: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#columns = database;
  }

  /** The capture whose analysis is due for the longest time, or was cut short, except these. */
  oldestToAnalyse(except: ReadonlySet<string> = new Set()): string | undefined {
    const row = this.#columns
      .prepare(
        `SELECT id FROM captures WHERE phase IN ('sealed', 'analyzing') AND id NOT IN (SELECT value FROM json_each(?))
         ORDER BY requested_at LIMIT 1`,
      )
      .get(JSON.stringify([...except]));
    return row && String(row.id);
  }

  /** Captures that still have to be acquired or sealed, oldest first. */
  unsealed(): { id: string; nodeName: string; phase: 'requested' | 'acquiring' | 'sealing' }[] {
    return this.#columns
      .prepare(
        `SELECT id, node_name, phase FROM captures WHERE phase IN ('requested', 'acquiring', 'sealing') ORDER BY requested_at`,
      )
      .all()
      .map(({ id, node_name: nodeName, phase }) => ({
        id: String(id),
        nodeName: String(nodeName),
        phase: phase === 'requested' ? 'requested' : phase === 'acquiring' ? 'acquiring' : 'sealing',
      }));
  }

  /** The node that a capture was requested of and that has not begun it. */
  requestedOf(captureId: string): string | undefined {
    const row = this.#columns
      .prepare(`SELECT node_uid FROM captures WHERE id = ? AND phase = 'requested'`)
      .get(captureId);
    return row && String(row.node_uid);
  }

  /** Captures that take or wait for a turn, oldest first. */
  underway(): { id: string; nodeUid: string; phase: 'requested' | 'acquiring' }[] {
    return this.#columns
      .prepare(
        `SELECT id, node_uid, phase FROM captures WHERE phase IN ('requested', 'acquiring') ORDER BY requested_at`,
      )
      .all()
      .map(({ id, node_uid: uid, phase }) => ({
        id: String(id),
        nodeUid: String(uid),
        phase: phase === 'requested' ? 'requested' : 'acquiring',
      }));
  }

  /** The capture that is requested or being acquired on a node. */
  runningOn(nodeUid: string): { id: string; phase: 'requested' | 'acquiring' } | undefined {
    const row = this.#columns
      .prepare(`SELECT id, phase FROM captures WHERE node_uid = ? AND phase IN ('requested', 'acquiring')`)
      .get(nodeUid);
    return row && { id: String(row.id), phase: row.phase === 'requested' ? 'requested' : 'acquiring' };
  }

  /** Ids of the captures that are requested or being acquired, by the uid of their node. */
  running(): Map<string, string> {
    const rows = this.#columns
      .prepare(`SELECT node_uid, id FROM captures WHERE phase IN ('requested', 'acquiring')`)
      .all();
    return new Map(rows.map(({ node_uid: uid, id }) => [String(uid), String(id)]));
  }
}
