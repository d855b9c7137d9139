import { runChild } from '../child.ts';

// Runs a program that never ends and whose number is its own argument, so that a test can look for it after this process was killed.
const [mark = ''] = process.argv.slice(2);
process.stdout.write('running\n');
await runChild(
  { argv: ['sh', '-c', 'sleep 1000; exit "$1"', 'sh', mark], output: () => true, wallMs: 60_000 },
  new AbortController().signal,
);
