import { readFileSync, writeSync } from 'node:fs';
import { type Asked, ask } from './ask.ts';

// Its parent gives it the question and the file, reads lines, and kills it when nobody wants more of them.
const line = (value: unknown): void => {
  // JSON takes them as they are, and whoever reads lines as their ends.
  const text = JSON.stringify(value).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
  const bytes = Buffer.from(`${text}\n`);
  for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at);
};

try {
  ask(JSON.parse(readFileSync(0, 'utf8')) as Asked, line);
} catch (error) {
  line({ error: error instanceof Error ? error.message : String(error) });
}
