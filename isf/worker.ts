import { readFileSync, writeFileSync } from 'node:fs';
import { BadInput } from './bad-input.ts';
import { buildFromElf } from './build-from-elf.ts';
import { buildFromKernel } from './build-from-kernel.ts';
import { openFile } from './byte-source.ts';
import { createIsfFile, type IsfSummary } from './isf.ts';

/** What the process builds from and where it writes to; all paths absolute. */
export type WorkerJob = { readonly outputPath: string; readonly banner: string } & (
  | { readonly kind: 'elf'; readonly elfPath: string; readonly likeDwarf2json: boolean }
  | { readonly kind: 'types'; readonly btfPath: string; readonly kallsymsPath: string; readonly release: string }
);

/** The one line that it prints. */
export type WorkerEnd =
  | { readonly kind: 'built'; readonly summary: IsfSummary; readonly sha256: string; readonly sizeBytes: number }
  /** A clause about the input. */
  | { readonly kind: 'refused'; readonly problem: string }
  /** The disk did not take it. */
  | { readonly kind: 'not_written'; readonly problem: string };

function build(job: WorkerJob): WorkerEnd {
  try {
    using output = createIsfFile(job.outputPath, 'w');
    const summary = fill(job, output.take);
    return { kind: 'built', summary, ...output.end() };
  } catch (error) {
    if (error instanceof BadInput) return { kind: 'refused', problem: error.message };
    if (error instanceof Error && 'syscall' in error) return { kind: 'not_written', problem: error.message };
    throw error;
  }
}

function fill(job: WorkerJob, take: (bytes: Buffer) => void): IsfSummary {
  switch (job.kind) {
    case 'elf': {
      using elf = openFile(job.elfPath);
      return buildFromElf(elf, take, { banner: job.banner, likeDwarf2json: job.likeDwarf2json });
    }
    case 'types': {
      const { btfPath, kallsymsPath, banner, release } = job;
      const [btf, kallsyms] = [readFileSync(btfPath), readFileSync(kallsymsPath)];
      return buildFromKernel({ btf, kallsyms, moduleBtf: [], kernelOffset: 0n, banner, release }, take);
    }
  }
}

// Not process.stdout, which makes calls that a confined process may not.
writeFileSync(1, `${JSON.stringify(build(JSON.parse(process.argv[2] ?? '') as WorkerJob))}\n`);
