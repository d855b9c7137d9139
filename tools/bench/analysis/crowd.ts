import { copyFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LabNode } from '../../lab/node.ts';
import { buildOnce } from '../../setup/build-once.ts';
import { cachePath } from '../../setup/cache.ts';
import { fingerprint } from '../../setup/fingerprint.ts';
import { ensureKernel } from '../../setup/kernel.ts';
import { type CapturedImage, captureNode, openCaptured } from './captured.ts';

/** Processes of a busy node. */
export const crowd = 3_000;
const memoryMiB = 1_280;
/** Of them those that are dynamically linked and listen on a port; the others sleep. */
const listening = 300;
const fillLimitMs = 900_000;

/** The image of a node whose three containers have 3,000 processes between them, booted and captured if it is not in the cache. */
export async function ensureCrowd(): Promise<CapturedImage> {
  const { release } = await ensureKernel('6.1');
  const name = fingerprint({ texts: [release], paths: [import.meta.filename] });
  const dir = await buildOnce(cachePath('crowds', name), `image of ${crowd} processes`, async (temporaryPath) => {
    const stage = join(temporaryPath, 'stage');
    mkdirSync(stage, { recursive: true });
    const { job } = await captureNode(stage, { memoryMiB, prepare: fill });
    const { captureId, kernel, containers, image, symbols } = job;
    renameSync(image.path, join(temporaryPath, 'image.lime'));
    copyFileSync(symbols.isfPath, join(temporaryPath, 'btf.json'));
    writeFileSync(join(temporaryPath, 'job.json'), JSON.stringify({ captureId, kernel, containers }));
    rmSync(stage, { recursive: true });
  });
  return openCaptured(dir);
}

/** Starts the processes in the containers of the standard pods, and resolves when all of them run. */
async function fill(node: LabNode): Promise<void> {
  const script = `
containers=
for id in $(runc list -q); do
  # a sandbox has no shell
  runc exec $id true && containers="$containers $id"
done
set -- $containers
each=$((${crowd - listening} / $#))
for id; do
  runc exec --detach $id sh -c "i=0; while [ \\$i -lt $each ]; do sleep 1000000 & i=\\$((i + 1)); done; wait" </dev/null >/dev/null 2>&1
done
for id; do
  runc exec $id sh -c 'command -v nc.openbsd' || continue
  runc exec --detach $id sh -c 'i=0; while [ $i -lt ${listening} ]; do nc.openbsd -l -k -p $((20000 + i)) & i=$((i + 1)); done; wait' </dev/null >/dev/null 2>&1
  break
done
until [ $(ls -d /proc/[0-9]* | wc -l) -gt ${crowd} ]; do sleep 1; done`;
  await node.must(script, { timeoutMs: fillLimitMs });
}
