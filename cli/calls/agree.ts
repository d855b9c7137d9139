import { Fault } from '@kcorder/proto/fault.ts';
import { visible } from '../output/visible.ts';
import type { Session } from '../session.ts';

/** What a person is asked before something is done, and the sentences for who does not say yes. */
export interface Question {
  /** Without the choice of answers. */
  readonly text: string;
  /** Where nobody can be asked: what was not done, and what to do. */
  readonly refusal: string;
  /** After a no. */
  readonly declined: string;
}

/** Asks a person on a terminal. Throws invalid_argument where there is none, canceled after a no. */
export async function agree({ terminal }: Session, { text, refusal, declined }: Question): Promise<void> {
  if (!terminal.input.isTty || !terminal.err.isTty) throw new Fault('invalid_argument', refusal);
  const answer = await terminal.input.ask(`${visible(text)} [y/N] `);
  if (/^y(es)?$/i.test(answer.trim())) return;
  throw new Fault('canceled', declined);
}
