#!/usr/bin/env node
import { basename } from 'node:path';
import { readEnvironment } from './config.ts';
import { exitCode } from './exit-code.ts';
import { answersOf, sinkOf } from './output/terminal.ts';
import { run } from './run.ts';

// Deprecations of the runtime are for the makers of this program, not for the people who run it.
process.noDeprecation = true;

const environment = readEnvironment();
const interrupt = new AbortController();

// The second Ctrl-C finds no handler and ends the process at once.
process.once('SIGINT', () => interrupt.abort());
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // The reader has seen enough (| head).
  if (error.code === 'EPIPE') process.exit(exitCode.ok);
  throw error;
});
process.stderr.on('error', () => undefined);

const terminal = {
  input: answersOf(process.stdin, interrupt.signal),
  out: sinkOf(process.stdout, environment.columns),
  err: sinkOf(process.stderr, environment.columns),
  interrupt: interrupt.signal,
};
// kubectl finds its plugins by their file names.
const name = basename(process.argv[1] ?? '').startsWith('kubectl-kcorder') ? 'kubectl kcorder' : 'kcorder';
process.exitCode = await run(process.argv.slice(2), environment, terminal, name);
