/** A file that cannot be used: which part of it, where, and what is wrong with it. The message is one clause without a full stop. */
export class BadInput extends Error {
  /** `unsupported`: valid, but of a kind that is not read; the message says what to use instead. */
  readonly kind: 'damaged' | 'unsupported';

  /** `place` names the part and the offset in it in hexadecimal, as in ".debug_info at 0x1f40". */
  constructor(place: string, problem: string, kind: 'damaged' | 'unsupported' = 'damaged') {
    super(`${place}: ${problem}`);
    this.name = 'BadInput';
    this.kind = kind;
  }
}
