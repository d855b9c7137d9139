import type { CaptureJournal, JournaledCapture } from '../journal/captures.ts';
import type { Fleet } from './fleet.ts';

/** How many captures may run at once in the whole cluster, and how long an order holds. */
export interface TurnLimits {
  readonly maxCaptures: number;
  readonly orderMs: number;
}

/** Hands out orders, the oldest capture first, so that never more than the allowed number run at once. A restart forgets what was ordered: agents attach again. */
export class Turns {
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
    const open = this.#journal.open();
    for (const id of this.#ordered) if (!open.some(({ request }) => request.id === id)) this.#ordered.delete(id);
    let free = this.#limits.maxCaptures - open.filter((capture) => this.#runs(capture)).length;
    for (const { request, state } of open) {
      if (free <= 0) return;
      if (state.phase !== 'requested' || this.#ordered.has(request.id)) continue;
      const agent = this.#fleet.online(request.node.uid);
      if (agent === undefined) continue;
      agent.send({ kind: 'capture', captureId: request.id, validForMs: this.#limits.orderMs });
      this.#ordered.add(request.id);
      free -= 1;
    }
  }

  /** An order may not have reached its agent: it is given again when it is its turn. */
  again(captureId: string): void {
    this.#ordered.delete(captureId);
    this.give();
  }

  /** Whether a requested capture waits until others end. */
  waits(captureId: string): boolean {
    const capture = this.#journal.find(captureId);
    if (capture?.state.phase !== 'requested' || this.#ordered.has(captureId)) return false;
    return this.#fleet.online(capture.request.node.uid) !== undefined;
  }

  #runs({ request, state }: JournaledCapture): boolean {
    return state.phase === 'acquiring' || (state.phase === 'requested' && this.#ordered.has(request.id));
  }
}
