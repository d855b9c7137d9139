/** What the runner may still print. What a failed plugin printed counts as never printed: one plugin cannot take the others' share. */
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

  refund(): void {
    this.#pendingBytes = 0;
  }
}
