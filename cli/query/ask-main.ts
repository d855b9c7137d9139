import { readFileSync, writeSync } from 'node:fs';
import { type Asked, ask } from './ask.ts';

// Its parent gives it the question and the file, reads lines, and kills it when nobody wants more of them.
const line = (value: unknown): void => {
  const bytes = Buffer.from(`${JSON.stringify(value)}\n`);
  for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at);
};

try {
  ask(JSON.parse(readFileSync(0, 'utf8')) as Asked, line);
} catch (error) {
  line({ error: error instanceof Error ? error.message : String(error) });
}
