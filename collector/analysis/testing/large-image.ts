import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { openFile } from '../../store/file-source.ts';
import { packFrame } from '../../store/frames/frame.ts';
import { openFrames } from '../../store/frames/open-frames.ts';
import { frameBytes, writeTable } from '../../store/frames/seek-table.ts';
import type { AnalysisJob, AnalysisReport, ImageSource } from '../analysis.ts';
import { createAnalysis } from '../analyze.ts';

const runnerDir = join(import.meta.dirname, '..', 'volatility');
const recordHeaderBytes = 32;
const sampleMs = 50;
/** From there on there are zeros alone. */
const mostKernelBytes = 4 * frameBytes;

/** A small kernel with memory of zeros behind it, which takes no room on the disk. */
export interface LargeImage {
  readonly path: string;
  readonly job: Omit<AnalysisJob, 'image' | 'outputDir' | 'plugins'>;
}

/** What an analysis took beside the page cache, in bytes. */
export interface Taken {
  readonly report: AnalysisReport;
  /** The most of all its processes together, what they share counted once. */
  readonly runnerBytes: number;
  /** How much this process grew meanwhile. */
  readonly ownGrowthBytes: number;
}

/** Writes an image with `zeroBytes` of zeros into the folder `dir`. */
export async function makeLargeImage(python: string, dir: string, zeroBytes: number): Promise<LargeImage> {
  const script = join(runnerDir, 'testing', 'hostile.py');
  const { stdout } = await promisify(execFile)(python, ['-B', script, dir, 'nothing']);
  const { image: path, isf, sha256, note } = JSON.parse(stdout);
  await using file = await open(path, 'r+');
  const first = Buffer.alloc(recordHeaderBytes);
  await file.read(first, 0, recordHeaderBytes, 0);
  const end = first.readBigUInt64LE(16);
  const second = Buffer.from(first);
  second.writeBigUInt64LE(end + 1n, 8);
  second.writeBigUInt64LE(end + BigInt(zeroBytes), 16);
  const { size } = await file.stat();
  await file.write(second, 0, recordHeaderBytes, size);
  await file.truncate(size + recordHeaderBytes + zeroBytes);
  const symbols = { isfPath: isf, isfSha256: sha256, source: 'a test', quality: 'dwarf' } as const;
  return { path, job: { captureId: 'c-1', symbols, kernel: { banner: '', vmcoreinfo: note }, containers: [] } };
}

/** Packs such an image without packing its zeros more than once. Dispose of the source. */
export async function packLargeImage(image: LargeImage): Promise<Extract<ImageSource, { kind: 'ranges' }>> {
  const { size: plainBytes } = await stat(image.path);
  const packedPath = `${image.path}.zst`;
  await using plain = await open(image.path, 'r');
  await using packed = await open(packedPath, 'wx');
  const zeros = await packFrame(Buffer.alloc(frameBytes));
  const frames: Buffer[] = [];
  for (let offset = 0; offset < plainBytes; offset += frameBytes) {
    const length = Math.min(frameBytes, plainBytes - offset);
    const isZero = offset >= mostKernelBytes && length === frameBytes;
    frames.push(isZero ? zeros : await packFrame((await plain.read(Buffer.alloc(length), 0, length, offset)).buffer));
  }
  const sizes = frames.map(({ length }) => length);
  await packed.write(Buffer.concat([...frames, writeTable(sizes, plainBytes)]));
  return { kind: 'ranges', source: await openFrames(await openFile(packedPath, 'the packed image'), packedPath) };
}

/** Analyzes an image, and looks at the memory of the processes meanwhile. */
export async function analyzeMeasured(
  python: string,
  { job }: Pick<LargeImage, 'job'>,
  image: ImageSource,
  outputDir: string,
  plugins: NonNullable<AnalysisJob['plugins']>,
): Promise<Taken> {
  const before = anonymousBytes(process.pid);
  let [runnerBytes, ownBytes] = [0, before];
  const timer = setInterval(() => {
    runnerBytes = Math.max(
      runnerBytes,
      descendants(process.pid)
        .map(anonymousBytes)
        .reduce((a, b) => a + b, 0),
    );
    ownBytes = Math.max(ownBytes, anonymousBytes(process.pid));
  }, sampleMs);
  try {
    const analysis = createAnalysis({ python, entry: join(runnerDir, 'run.py') });
    const report = await analysis.analyze({ ...job, image, outputDir, plugins }, new AbortController().signal);
    return { report, runnerBytes, ownGrowthBytes: ownBytes - before };
  } finally {
    clearInterval(timer);
  }
}

/** Memory of a process that no file holds; what it shares with others in equal parts. 0 when it has gone. */
function anonymousBytes(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
    return Number(/^Pss_Anon:\s*(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

function descendants(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').map(Number);
    return children.filter((child) => child > 0).flatMap((child) => [child, ...descendants(child)]);
  } catch {
    return [];
  }
}
