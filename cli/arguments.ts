import { InvalidArgumentError } from 'commander';
import { parseDuration } from './duration.ts';

/** The examples under a command's help. */
export function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`;
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
