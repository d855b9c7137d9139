import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { OutcomeKind, Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { expect, test } from 'vitest';
import { makeScratch, until } from '../../collector/testing/files.ts';
import { writeImage } from './image.ts';
import { seedOf } from './random.ts';
import { FaultRig } from './rig.ts';

/** A file system of its own, of so many MiB. Needs root. */
function mountSmall(dir: string, mebibytes: number): Disposable & { readonly dir: string } {
  mkdirSync(dir);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=0700`, 'kcorder-faults', dir]);
  return { dir, [Symbol.dispose]: () => execFileSync('umount', ['--lazy', dir]) };
}

/** Fills a file system but for so many bytes. */
function fill(dir: string, leaveBytes: number): string {
  const path = join(dir, 'ballast');
  while (true) {
    const { bavail, bsize } = statfsSync(dir);
    const bytes = Math.min(16 << 20, bavail * bsize - leaveBytes);
    if (bytes < bsize) return path;
    appendFileSync(path, Buffer.alloc(bytes, 0x42));
  }
}

/** RAM of 64 MiB, so that the image's upper bound fits the small disk. */
const iomem = '00001000-04000fff : System RAM\n';

test.runIf(process.getuid?.() === 0)(
  'a disk that fills up in mid-stream: acknowledgements stop, nothing acknowledged is lost, and freed space lets the capture go on to its end',
  async () => {
    const seed = seedOf('disk full');
    using scratch = makeScratch();
    const image = writeImage(scratch.dir, seed, 48 << 20);
    using disk = mountSmall(join(scratch.dir, 'disk'), 160);
    await using rig = await FaultRig.start({
      imagePath: image.path,
      bytesPerSecond: 16 << 20,
      dataDir: join(disk.dir, 'data'),
      tree: { iomem },
    });
    const captureId = await rig.order();
    await until(async () => ((await rig.capture(captureId))?.durableBytes ?? 0n) > 8n << 20n);
    const ballast = fill(disk.dir, 6 << 20);
    await until(() => statfsSync(disk.dir).bavail === 0);
    await sleep(2_000);
    const before = await rig.capture(captureId);
    await sleep(3_000);
    const during = await rig.capture(captureId);
    expect(during).toMatchObject({ phase: Phase.ACQUIRING, durableBytes: before?.durableBytes });
    expect(Number(during?.durableBytes)).toBeLessThan(image.bytes);
    expect(rig.collector.running).toBe(true);
    rmSync(ballast);
    const capture = await rig.done(captureId);
    expect(capture).toMatchObject({ outcome: { kind: OutcomeKind.COMPLETE }, sha256: image.sha256 });
    await rig.checkInvariants();
  },
);
