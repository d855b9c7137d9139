import { BadInput } from '../bad-input.ts';

const leastChars = 24 << 20;

/**
 * How much text may come out of a file: names, types and definitions together. Types that refer to each other can make it grow
 * without end, exponentially even, out of a few bytes; the text of a kernel is a tenth of its .debug_info.
 */
export class Budget {
  #charsLeft: number;

  constructor(infoBytes: number) {
    this.#charsLeft = leastChars + Math.floor(infoBytes / 2);
  }

  /** `offset` is that of the entry that the text is made for. Throws BadInput. */
  spend(chars: number, offset: number): void {
    this.#charsLeft -= chars;
    if (this.#charsLeft < 0) {
      throw new BadInput(`.debug_info at 0x${offset.toString(16)}`, 'the texts of the types are too long');
    }
  }
}
