/** How many handshakes of one origin may begin at once, and after how many milliseconds as many again: each takes two milliseconds or so. */
export interface HandshakePace {
  readonly atOnce: number;
  readonly everyMs: number;
}

interface Turn {
  left: number;
  readonly waiting: (() => void)[];
}

/** Has the handshakes of one origin begin a few at a time, so that a crowd does not keep everybody else from their turn. */
export class Handshakes {
  readonly #pace: HandshakePace;
  readonly #slots = new Map<string, Turn>();

  constructor(pace: HandshakePace) {
    this.#pace = pace;
  }

  /** Begins now, or when it is its turn. */
  begin(origin: string, handshake: () => void): void {
    const turn = this.#slots.get(origin) ?? this.#open(origin);
    if (turn.left === 0) {
      turn.waiting.push(handshake);
      return;
    }
    turn.left -= 1;
    handshake();
  }

  #open(origin: string): Turn {
    const { atOnce, everyMs } = this.#pace;
    const turn: Turn = { left: atOnce, waiting: [] };
    this.#slots.set(origin, turn);
    const timer = setInterval(() => {
      const next = turn.waiting.splice(0, atOnce);
      if (next.length === 0) {
        clearInterval(timer);
        this.#slots.delete(origin);
      }
      turn.left = atOnce - next.length;
      for (const handshake of next) handshake();
    }, everyMs);
    timer.unref();
    return turn;
  }
}
