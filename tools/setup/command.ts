import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';

export interface CommandOptions {
  cwd?: string;
  env?: Record<string, string>;
  signal?: AbortSignal;
  /** Standard output goes to this file instead of the result. */
  stdoutPath?: string;
}

/** Runs a program to its end and returns its standard output; an exit code other than 0 throws with the end of stderr. */
export async function command(program: string, args: string[], options: CommandOptions = {}): Promise<string> {
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    signal: options.signal,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const stdout: Buffer[] = [];
  let stderrTail = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderrTail = (stderrTail + text).slice(-4000);
  });
  if (!options.stdoutPath) child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  const saved = options.stdoutPath ? pipeline(child.stdout, createWriteStream(options.stdoutPath)) : undefined;
  const ended = await new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal }));
  });
  await saved;
  if (ended.code !== 0) {
    const how = ended.signal ? `was ended by ${ended.signal}` : `ended with exit code ${ended.code}`;
    throw new Error(`${[program, ...args].join(' ').slice(0, 300)} ${how}:\n${stderrTail.trim()}`);
  }
  return Buffer.concat(stdout).toString('utf8');
}
