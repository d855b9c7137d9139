/**
 * What the runner may still print. What a failed plugin printed counts half: one plugin cannot take the others' share, and all of them together
 * make us read twice the limit at most.
 */
export class OutputBudget {
  readonly #limitBytes: number;
  #keptBytes = 0;
  #pendingBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** False once the limit is passed. */
  take(bytes: number): boolean {
    this.#pendingBytes += bytes;
    return this.#keptBytes + this.#pendingBytes <= this.#limitBytes;
  }

  keep(): void {
    this.#keptBytes += this.#pendingBytes;
    this.#pendingBytes = 0;
  }

  refundHalf(): void {
    this.#keptBytes += this.#pendingBytes / 2;
    this.#pendingBytes = 0;
  }
}
