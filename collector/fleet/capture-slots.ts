import type { CaptureJournal } from '../journal/capture-journal.ts';
import type { Fleet } from './fleet.ts';

/** How many captures may run at once in the whole cluster, and how long an order holds. */
export interface TurnLimits {
  readonly maxCaptures: number;
  readonly orderMs: number;
}

/** Hands out orders, the oldest capture first, so that never more than the allowed number run at once. A restart forgets what was ordered: agents attach again. */
export class CaptureSlots {
  readonly #journal: CaptureJournal;
  readonly #fleet: Fleet;
  readonly #limits: TurnLimits;
  readonly #ordered = new Set<string>();

  constructor(journal: CaptureJournal, fleet: Fleet, limits: TurnLimits) {
    this.#journal = journal;
    this.#fleet = fleet;
    this.#limits = limits;
  }

  /** Orders whatever may run now. Call it when something was requested and when something has ended. */
  give(): void {
    const underway = this.#journal.underway();
    const ids = new Set(underway.map(({ id }) => id));
    for (const id of this.#ordered) if (!ids.has(id)) this.#ordered.delete(id);
    let free = this.#limits.maxCaptures - underway.filter((capture) => this.#runs(capture)).length;
    for (const { id, nodeUid, phase } of underway) {
      if (free <= 0) return;
      if (phase !== 'requested' || this.#ordered.has(id)) continue;
      const agent = this.#fleet.online(nodeUid);
      if (agent === undefined) continue;
      agent.send({ kind: 'capture', captureId: id, validForMs: this.#limits.orderMs });
      this.#ordered.add(id);
      free -= 1;
    }
  }

  /** Captures that could be ordered at once; 0 or less while others wait for their turn. One whose agent is away takes none. */
  free(): number {
    const wanted = this.#journal
      .underway()
      .filter((capture) => this.#runs(capture) || this.#fleet.online(capture.nodeUid) !== undefined);
    return this.#limits.maxCaptures - wanted.length;
  }

  /** An order may not have reached its agent: it is given again when it is its turn. */
  again(captureId: string): void {
    this.#ordered.delete(captureId);
    this.give();
  }

  /** Whether a requested capture waits until others end. */
  waits(captureId: string): boolean {
    if (this.#ordered.has(captureId)) return false;
    const nodeUid = this.#journal.requestedOf(captureId);
    return nodeUid !== undefined && this.#fleet.online(nodeUid) !== undefined;
  }

  #runs({ id, phase }: { id: string; phase: 'requested' | 'acquiring' }): boolean {
    return phase === 'acquiring' || this.#ordered.has(id);
  }
}
