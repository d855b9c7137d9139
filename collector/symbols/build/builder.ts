// Why it is done this way: docs/decisions/012-own-symbol-builder.md

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { WorkerJob } from '@kcorder/isf/worker.ts';
import { runChild } from '../child.ts';
import type { Confine } from '../confine.ts';
import { isfLimitBytes } from '../isf-file.ts';
import { parseWorkerEnd } from './worker-end.ts';

/** What an ISF is built from. */
export type BuildInput =
  | { readonly kind: 'elf'; readonly path: string }
  /** Files as SendKernelTypes brings them. */
  | { readonly kind: 'types'; readonly btfPath: string; readonly kallsymsPath: string };

/** How a build ended. */
export type BuildEnd =
  | {
      readonly kind: 'built';
      readonly banner: string;
      /** True when the banner is the one that was given, and the input holds none. */
      readonly bannerTold: boolean;
      readonly sha256: string;
      readonly sizeBytes: number;
      readonly remarks: readonly string[];
    }
  /** A clause about the input. */
  | { readonly kind: 'refused'; readonly problem: string }
  /** The collector's disk or its memory was in the way, and the input may be good. */
  | { readonly kind: 'failed'; readonly problem: string };

const wallMs = 300_000;
const blockBytes = 512;
/** What a build may take; a kernel takes some 200 MiB. */
const memoryLimitMib = 464;
/** Address space that Node sets aside at its start and that counts as data for the kernel, though hardly any of it is ever touched. */
const reservedMib = 560;
const nodeFlags = ['--max-old-space-size=256', '--max-semi-space-size=2', '--disable-warning=ExperimentalWarning'];
const worker = fileURLToPath(import.meta.resolve('@kcorder/isf/worker.ts'));

/**
 * Builds an ISF at `outputPath` in a process of its own, confined and with limits on memory, size of the file and time, since what it reads may be
 * hostile. The process ends with ours. Throws only the signal's reason; the caller removes the file unless it was built.
 */
export async function buildIsf(
  input: BuildInput,
  kernel: { readonly banner: string; readonly release: string },
  outputPath: string,
  confine: Confine,
  signal: AbortSignal,
): Promise<BuildEnd> {
  const job = jobOf(input, kernel, outputPath);
  const read = input.kind === 'elf' ? [input.path] : [input.btfPath, input.kallsymsPath];
  try {
    // The builder may fill this file, and make none.
    await (await open(outputPath, 'wx', 0o600)).close();
  } catch (error) {
    return { kind: 'failed', problem: error instanceof Error ? error.message : String(error) };
  }
  let printed = '';
  const output = (chunk: Buffer): boolean => {
    printed += chunk.toString('utf8');
    return printed.length < 1 << 20;
  };
  // The shell only sets limits; the job is an argument and never read as shell text.
  const limits = `ulimit -d ${(memoryLimitMib + reservedMib) << 10} && ulimit -f ${isfLimitBytes / blockBytes} && exec "$@"`;
  const program = confine({ read: [dirname(worker), ...read], write: [outputPath] }, workerArguments(job));
  const end = await runChild({ argv: ['sh', '-c', limits, 'sh', ...program], output, wallMs }, signal);
  switch (end.kind) {
    case 'exited':
      return end.code === 0 ? await endOf(printed, outputPath, signal) : broke(`exit code ${end.code}`, end.stderr);
    case 'killed':
      return broke(end.by, end.stderr);
    case 'timeout':
      return { kind: 'refused', problem: `could not be built within ${wallMs / 1000} s` };
    case 'stopped':
    case 'not_found':
      return { kind: 'failed', problem: 'the builder could not be run' };
  }
}

/** The command line of the process that builds. */
export function workerArguments(job: WorkerJob): readonly [string, ...string[]] {
  return [process.execPath, ...nodeFlags, worker, JSON.stringify(job)];
}

function jobOf(
  input: BuildInput,
  kernel: { readonly banner: string; readonly release: string },
  outputPath: string,
): WorkerJob {
  const { banner, release } = kernel;
  if (input.kind === 'elf') return { kind: 'elf', elfPath: input.path, likeDwarf2json: false, outputPath, banner };
  return { kind: 'types', btfPath: input.btfPath, kallsymsPath: input.kallsymsPath, outputPath, banner, release };
}

/** A builder that was taken over prints whatever it likes, and the digest becomes part of a path: it is taken of the file. */
async function endOf(printed: string, outputPath: string, signal: AbortSignal): Promise<BuildEnd> {
  const end = parseWorkerEnd(printed);
  switch (end?.kind) {
    case 'built': {
      const { banner, bannerTold, remarks } = end.summary;
      if (banner === undefined) return { kind: 'refused', problem: 'does not say which kernel it is of' };
      try {
        return { kind: 'built', banner, bannerTold, ...(await digestOf(outputPath, signal)), remarks };
      } catch (error) {
        signal.throwIfAborted();
        return { kind: 'failed', problem: error instanceof Error ? error.message : String(error) };
      }
    }
    case 'refused':
      return end;
    case 'not_written':
      return { kind: 'failed', problem: end.problem };
    case undefined:
      return { kind: 'failed', problem: 'the builder broke (it printed what it never prints)' };
  }
}

async function digestOf(path: string, signal: AbortSignal): Promise<{ sha256: string; sizeBytes: number }> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 18 }) as AsyncIterable<Buffer>) {
    signal.throwIfAborted();
    hash.update(piece);
    sizeBytes += piece.length;
  }
  return { sha256: hash.digest('hex'), sizeBytes };
}

/** Running out of the memory that it may take is the input's fault; any other unforeseen end is not laid at its door. */
function broke(how: string, stderr: string): BuildEnd {
  if (/out of memory|allocation failed/i.test(stderr)) {
    return { kind: 'refused', problem: `needs more than ${memoryLimitMib} MiB of memory` };
  }
  const lines = stderr.trim().split('\n');
  const words = lines.find((line) => /Error\b|FATAL/.test(line)) ?? lines.at(-1) ?? '';
  return { kind: 'failed', problem: `the builder broke (${how}): ${words}` };
}
