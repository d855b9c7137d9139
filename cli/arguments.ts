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
