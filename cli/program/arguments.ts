import { type Command, InvalidArgumentError } from 'commander';
import { parseDuration } from './duration.ts';

/** The examples under a command's help, each beginning with the name that the program was called by instead of `kcorder`. */
export function examples(...lines: string[]): (context: { readonly command: Command }) => string {
  return ({ command }) => {
    const name = programName(command);
    return `\nExamples:\n${lines.map((line) => `  ${line.replace(/^kcorder\b/, name)}`).join('\n')}`;
  };
}

function programName(command: Command): string {
  return command.parent === null ? command.name() : programName(command.parent);
}

/** An argument that resolveCapture reads. */
export const captureText = "a capture's id or the beginning of it, or a node for its newest capture that fits";
/** An argument of commands that take nothing for another capture. */
export const exactText = "a capture's full id";

/** What `--unmask` does. */
export const unmaskText = 'show secrets and sensitive values; needs the right to unmask, and is on record';

/** An argument that must not be empty. */
export function filled(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It must not be empty.');
  return text;
}

/** An idempotency key. */
export function key(text: string): string {
  if (text.length > 128) throw new InvalidArgumentError('It must not be longer than 128 characters.');
  return filled(text);
}

/** A pod as NAMESPACE/NAME, added to those before. */
export function podReference(text: string, before: readonly PodWord[] = []): PodWord[] {
  return [...before, onePod(text)];
}

/** A pod as NAMESPACE/NAME. */
export function onePod(text: string): PodWord {
  const [, namespace, name] = /^([^/\s]+)\/([^/\s]+)$/.exec(text) ?? [];
  if (namespace === undefined || name === undefined)
    throw new InvalidArgumentError('Give NAMESPACE/NAME, such as shop/checkout-7d9c4f6b8-x2x5q.');
  return { namespace, name };
}

interface PodWord {
  readonly namespace: string;
  readonly name: string;
}

/** Labels of pods; none at all would mean every pod. */
export function labels(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It would mean every pod. Give labels such as app=web.');
  return text;
}

/** Labels of nodes. */
export function nodeLabels(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It would mean every node. Give labels such as pool=web.');
  return text;
}

/** A name, added to those before. */
export function names(text: string, before: readonly string[] = []): string[] {
  return [...before, filled(text)];
}

/** A span of time, in ms. */
export function timeSpan(text: string): number {
  const spanMs = parseDuration(text);
  if (spanMs === undefined) throw new InvalidArgumentError('Give a time such as 90s, 30m or 1h30m, up to 24 days.');
  return spanMs;
}

const longestAgeMs = 36_500 * 86_400_000;

/** An age, in ms: nothing waits for it, so that it may be longer than a timer can hold. */
export function age(text: string): number {
  const spanMs = parseDuration(text, longestAgeMs);
  if (spanMs === undefined) throw new InvalidArgumentError('Give a time such as 12h or 30d.');
  return spanMs;
}

/** A whole number from 1 to the highest. */
export function countUpTo(highest: number): (text: string) => number {
  return (text) => {
    const count = /^\d{1,9}$/.test(text) ? Number(text) : 0;
    if (count < 1 || count > highest) throw new InvalidArgumentError(`Give a whole number from 1 to ${highest}.`);
    return count;
  };
}

/** A pid. */
export function pidNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Give a whole number.');
  return Number(text);
}

/** An address such as 0x1a000000 or 1a000000. */
export function address(text: string): bigint {
  if (!/^(0x)?[0-9a-f]{1,16}$/i.test(text))
    throw new InvalidArgumentError('Give hexadecimal digits, such as 1a000000.');
  return BigInt(`0x${text.replace(/^0x/i, '')}`);
}

/** Name of a file that is written uncompressed. */
export function plainFile(text: string): string {
  const [, name, suffix = ''] = /^(.*)\.(xz|gz)$/i.exec(text) ?? [];
  if (name === undefined) return filled(text);
  throw new InvalidArgumentError(
    `What is written is not compressed. Give ${name}, and compress it afterwards: ${suffix.toLowerCase() === 'xz' ? 'xz' : 'gzip'} ${name}`,
  );
}

/** A head of the audit log that was noted: the number of a record, and the beginning of its hash. */
export interface NotedHead {
  readonly sequence: bigint;
  readonly sha256: string;
}

/** A noted head as SEQUENCE:SHA256. */
export function notedHead(text: string): NotedHead {
  const [, sequence, sha256] = /^([1-9]\d{0,14}):([0-9a-f]{12,64})$/i.exec(text) ?? [];
  if (sequence === undefined || sha256 === undefined)
    throw new InvalidArgumentError('Give SEQUENCE:SHA256, with at least the first 12 hex digits of the hash.');
  return { sequence: BigInt(sequence), sha256: sha256.toLowerCase() };
}
