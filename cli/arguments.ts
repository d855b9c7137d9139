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
  const [, namespace, name] = /^([^/\s]+)\/([^/\s]+)$/.exec(text) ?? [];
  if (namespace === undefined || name === undefined)
    throw new InvalidArgumentError('Give NAMESPACE/NAME, such as shop/checkout-7d9c4f6b8-x2x5q.');
  return [...before, { namespace, name }];
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

/** A span of time, in ms. */
export function timeSpan(text: string): number {
  const spanMs = parseDuration(text);
  if (spanMs === undefined) throw new InvalidArgumentError('Give a time such as 90s, 30m or 1h30m, up to 24 days.');
  return spanMs;
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
