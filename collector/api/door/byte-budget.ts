import { receiveWindowBytes } from '@kcorder/proto/bridge/channel.ts';

const narrowestWindow = 256 << 10;

/** Somebody who pays, perhaps for one of several parts, each of which may use up only a part of what they have. */
export interface Payer {
  readonly whose: string;
  readonly part?: string;
}

/** Bytes of others that the collector holds at once, in all, of each, and of each part of one. */
export class ByteBudget {
  readonly #most: number;
  readonly #mostOfOne: number;
  readonly #parts: ByteBudget | undefined;
  readonly #ofEach = new Map<string, number>();
  #used = 0;
  #windows = 0;

  constructor(most: number, mostOfOne: number, mostOfPart?: number) {
    this.#most = most;
    this.#mostOfOne = mostOfOne;
    this.#parts = mostOfPart === undefined ? undefined : new ByteBudget(most, mostOfPart);
  }

  get used(): number {
    return this.#used;
  }

  /** Takes bytes for somebody, or says that there are not so many left. */
  take({ whose, part }: Payer, bytes: number): boolean {
    const ofOne = (this.#ofEach.get(whose) ?? 0) + bytes;
    if (ofOne > this.#mostOfOne || this.#used + bytes > this.#most) return false;
    if (part !== undefined && this.#parts?.take({ whose: `${whose} ${part}` }, bytes) === false) return false;
    this.#ofEach.set(whose, ofOne);
    this.#used += bytes;
    return true;
  }

  give({ whose, part }: Payer, bytes: number): void {
    if (part !== undefined) this.#parts?.give({ whose: `${whose} ${part}` }, bytes);
    const left = (this.#ofEach.get(whose) ?? 0) - bytes;
    if (left > 0) this.#ofEach.set(whose, left);
    else this.#ofEach.delete(whose);
    this.#used -= bytes;
  }

  /** Takes a window for an upload: the more uploads there are, the narrower each. 0: there is none left, since half of all is for calls. */
  takeWindow(): number {
    const quarter = Math.floor((this.#most / 2 - this.#windows) / 4);
    const bytes = quarter < narrowestWindow ? 0 : Math.min(receiveWindowBytes, quarter);
    this.#windows += bytes;
    this.#used += bytes;
    return bytes;
  }

  giveWindow(bytes: number): void {
    this.#windows -= bytes;
    this.#used -= bytes;
  }
}
