import type { Facts } from './facts.ts';
import { wordsOf } from './words.ts';

/** A notification as docs/notification.schema.json has it. */
export interface Notification extends Facts {
  readonly format: 'kcorder-notification/1';
  readonly id: string;
  /** One line of at most 150 characters. */
  readonly summary: string;
  /** A plain sentence or two. */
  readonly text: string;
}

/** The notification of some facts. */
export function compose(id: string, facts: Facts): Notification {
  const { summary, text } = wordsOf(facts);
  return { format: 'kcorder-notification/1', id, ...facts, summary, text };
}
