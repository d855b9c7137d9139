import { readFileSync } from 'node:fs';
import { basename, extname } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BadInput } from '@kcorder/isf/bad-input.ts';
import { buildFromElf } from '@kcorder/isf/build-from-elf.ts';
import { buildFromKernel } from '@kcorder/isf/build-from-kernel.ts';
import { openFile } from '@kcorder/isf/byte-source.ts';
import { createIsfFile, type IsfSummary } from '@kcorder/isf/isf.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { unread } from '../calls/input-file.ts';
import type { Environment } from '../config.ts';
import { unwritten } from '../download/part-file.ts';
import { makeWhole } from '../download/whole-file.ts';
import { exitCode } from '../exit-code.ts';
import { bytesText } from '../output/figures.ts';
import type { Terminal } from '../output/terminal.ts';
import { factsText } from '../render/facts.ts';
import { faceOf, type GlobalOptions } from '../session.ts';

/** What an ISF is built from; all paths as given. */
export type BuildInput =
  | {
      readonly kind: 'elf';
      readonly path: string;
      readonly likeDwarf2json: boolean;
      readonly banner: string | undefined;
    }
  | {
      readonly kind: 'kernel';
      readonly btfPath: string;
      readonly moduleBtfPaths: readonly string[];
      readonly kallsymsPath: string;
      readonly kernelOffset: bigint;
      readonly banner: string;
      readonly release: string;
    };

interface Built {
  readonly summary: IsfSummary;
  readonly sha256: string;
  readonly sizeBytes: number;
}

const outputOption = '-o';

/** `kcorder symbols build … -o FILE`: builds an ISF here, without a collector. */
export async function symbolsBuild(
  options: GlobalOptions,
  environment: Environment,
  terminal: Terminal,
  { input, file }: { readonly input: BuildInput; readonly file: string },
): Promise<number> {
  const { print, note, warn } = faceOf(options, environment, terminal);
  const startMs = performance.now();
  const built = await makeWhole(file, outputOption, async (partPath) => {
    note('building an ISF; for a kernel this takes some seconds');
    const done = build(input, partPath);
    // Building lets nothing else in: only here does an interruption arrive, and only in the second turn, since signals are read before a turn's end.
    await nextTurn();
    await nextTurn();
    terminal.interrupt.throwIfAborted();
    return done;
  });
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  const { summary, sha256, sizeBytes } = built;
  const { banner, baseTypes, userTypes, enums, symbols, remarks } = summary;
  print({
    document: () => ({
      file,
      banner: banner ?? '',
      baseTypes,
      userTypes,
      enums,
      symbols,
      sizeBytes,
      sha256,
      seconds: Number(seconds),
      remarks: [...remarks],
    }),
    table: (look) =>
      factsText(
        [
          ['file', file],
          ['banner', banner ?? ''],
          ['types', `${userTypes} (and ${baseTypes} base types)`],
          ['enums', String(enums)],
          ['symbols', String(symbols)],
          ['size', bytesText(sizeBytes)],
          ['sha-256', sha256],
          ['seconds', seconds],
        ],
        look,
      ),
  });
  if (banner === undefined) {
    warn(
      `${file} does not say which kernel it is of, so that no Volatility finds it: build it again with --banner and the text of /proc/version of that kernel; on Ubuntu add " ($(cat /proc/version_signature))"`,
    );
  }
  for (const remark of remarks) warn(remark);
  return exitCode.ok;
}

function build(input: BuildInput, partPath: string): Built {
  const written = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw unwritten(partPath, error, outputOption);
    }
  };
  using output = written(() => createIsfFile(partPath));
  const take = (bytes: Buffer): void => written(() => output.take(bytes));
  const summary = input.kind === 'elf' ? fromElf(input, take) : fromKernel(input, take);
  return { summary, ...written(() => output.end()) };
}

function fromElf(
  { path, likeDwarf2json, banner }: Extract<BuildInput, { kind: 'elf' }>,
  take: (bytes: Buffer) => void,
): IsfSummary {
  const next = 'Give the vmlinux with debugging information of exactly this kernel';
  return understood(path, next, () => {
    using elf = openFile(path);
    return buildFromElf(elf, take, { likeDwarf2json, ...(banner === undefined ? {} : { banner }) });
  });
}

function fromKernel(input: Extract<BuildInput, { kind: 'kernel' }>, take: (bytes: Buffer) => void): IsfSummary {
  const { btfPath, kallsymsPath, moduleBtfPaths, kernelOffset, release } = input;
  const read = (path: string): Buffer => understood(path, '', () => readFileSync(path));
  const [btf, kallsyms] = [read(btfPath), read(kallsymsPath)];
  const moduleBtf = moduleBtfPaths.map((path) => ({ name: basename(path, extname(path)), bytes: read(path) }));
  const banner = input.banner.trimEnd();
  const files = [btfPath, kallsymsPath, ...moduleBtfPaths].join(', ');
  return understood(files, 'Give whole files, all of one boot of this kernel', () =>
    buildFromKernel({ btf, moduleBtf, kallsyms, kernelOffset, banner, release }, take),
  );
}

/** Does work on input files; what is wrong with them becomes a fault that names them, what it is, and what to do next. */
function understood<T>(files: string, next: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof BadInput) {
      // What is not supported says itself what to give instead.
      const end = error.kind === 'unsupported' ? '' : `. ${next}`;
      throw new Fault('invalid_argument', `no ISF can be built from ${files}: ${error.message}${end}.`, {
        cause: error,
      });
    }
    if (error instanceof Error && 'syscall' in error) throw unread(files, error);
    throw error;
  }
}
