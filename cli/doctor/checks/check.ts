import { Fault } from '@kcorder/proto/fault.ts';

/** What was found of one thing. */
export interface Check {
  readonly name: string;
  readonly state: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  /** What to do about it. */
  readonly todo?: string;
}

/** What a check finds, its name aside. */
export type Finding = Omit<Check, 'name'>;

/** A finding under its name. A fault is one too: a right that the caller lacks leaves the thing unknown, all else is wrong with it. */
export async function check(name: string, look: () => Promise<Finding>): Promise<Check> {
  try {
    return { name, ...(await look()) };
  } catch (error) {
    const fault = Fault.from(error);
    if (fault.code === 'canceled' || !(error instanceof Fault)) throw error;
    if (fault.code === 'permission_denied') return { name, state: 'warn', detail: `not checked: ${fault.message}` };
    return { name, state: 'fail', detail: fault.message };
  }
}

const mostNamed = 8;

/** Some texts, and how many more there are. */
export function someOf(texts: readonly string[]): string {
  const rest = texts.length - mostNamed;
  return `${texts.slice(0, mostNamed).join('; ')}${rest > 0 ? `; and ${rest} more` : ''}`;
}
