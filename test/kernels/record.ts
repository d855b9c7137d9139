import { globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { openChannel } from '@kcorder/proto/bridge/channel.ts';
import { connect } from '@kcorder/proto/bridge/connect.ts';
import { OutcomeKind, Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { OperatorService } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { SymbolsState } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import { realSystem, type SystemPaths } from '../../agent/system.ts';
import { until } from '../../collector/testing/files.ts';
import { ensureInitrd } from '../../tools/lab/initrd.ts';
import type { NodeOptions } from '../../tools/lab/launch.ts';
import { type LabNode, startNode } from '../../tools/lab/node.ts';
import { ensureRootImage } from '../../tools/lab/root-image.ts';
import { ensureAgentRuntime } from '../../tools/setup/agent-runtime.ts';
import { buildOnce } from '../../tools/setup/build-once.ts';
import { cacheDir, cachePath, repoDir } from '../../tools/setup/cache.ts';
import { command } from '../../tools/setup/command.ts';
import { ensureEmulator } from '../../tools/setup/emulator.ts';
import { fingerprint } from '../../tools/setup/fingerprint.ts';
import { ensureKernel } from '../../tools/setup/kernel.ts';
import { pruneBeside } from '../../tools/setup/prune.ts';
import { Stage } from '../../tools/stage/stage.ts';
import { askProc, livedThrough, type OracleProcess } from '../story/oracle.ts';

export type KernelNode = NodeOptions & { readonly kernel: string };

/** What is kept of a node that was captured once. */
export interface Recording {
  readonly imagePath: string;
  /** The files that its agent read, by the names of SystemPaths. */
  readonly treeDir: string;
  /** The processes that lived from before the capture until after it, by the node's own word. */
  readonly lived: readonly OracleProcess[];
}

/** A recording, and the files of another boot of the same kernel, which has moved elsewhere. */
export interface KeptRecording extends Recording {
  readonly againDir: string;
}

const lookMs = 250;
/** How many recordings of earlier states are kept. */
const kept = 4;

/** What a node shows its agent and a plain file can hold; the rest is the agent's own process. */
const files = [
  'kcore',
  'iomem',
  'kernelNotes',
  'banner',
  'btf',
  'kallsyms',
  'release',
  'bootId',
  'osRelease',
  'machineId',
];

/**
 * The recording of a node in the cache, made if there is none of this kernel in this state of the lab, of AVML, of the agent and of what
 * records: two boots.
 */
export async function ensureRecording(options: KernelNode): Promise<KeptRecording> {
  const name = await stateOf(options);
  const dir = await buildOnce(cachePath('recordings', name), `recording of ${options.name}`, async (temporaryPath) => {
    await record(temporaryPath, options);
    const node = await startNode({ ...options, name: `${options.name}-again`, la57: false, pods: false });
    try {
      await keepTree(node, join(temporaryPath, 'again'));
    } finally {
      await node.stop();
    }
    pruneBeside(temporaryPath.replace(/\.tmp$/, ''), kept);
  });
  return { ...readRecording(dir), againDir: join(dir, 'again') };
}

export function readRecording(dir: string): Recording {
  const lived = JSON.parse(readFileSync(join(dir, 'lived.json'), 'utf8')) as OracleProcess[];
  return { imagePath: join(dir, 'image.lime'), treeDir: join(dir, 'tree'), lived };
}

/** Boots a node with its pods and captures it by the product: the new folder `dir` then holds a recording. */
export async function record(dir: string, options: KernelNode): Promise<void> {
  mkdirSync(dir);
  const stage = await Stage.open(join(dir, 'stage'), {
    kernel: options.kernel,
    env: { KCORDER_SPOOL_SECONDS: '3600' },
  });
  try {
    const node = await stage.boot({ ...options, pods: true });
    const channel = openChannel(stage.context.address, stage.authority.operator('recorder'));
    const operator = connect(OperatorService, channel);
    // What the kernel tells of its types has been sent, too.
    await until(async () => {
      const { nodes } = await operator.listNodes({});
      return nodes.some(({ online, symbols }) => online && symbols?.state === SymbolsState.READY);
    }, lookMs);
    const before = await askProc(node);
    const created = await operator.createCapture({ nodeName: node.name, reason: 'record', idempotencyKey: 'record' });
    const captureId = created.capture?.id ?? '';
    const capture = await until(async () => {
      const { capture: now } = await operator.getCapture({ captureId });
      return now !== undefined && now.phase >= Phase.SEALED && now;
    }, lookMs);
    if (capture.outcome?.kind !== OutcomeKind.COMPLETE)
      throw new Error(`lab node ${node.name} was not captured whole: ${capture.outcome?.detail}`);
    writeFileSync(join(dir, 'lived.json'), JSON.stringify(livedThrough(before, await askProc(node))));
    await keepTree(node, join(dir, 'tree'));
    channel.close();
    renameSync(capture.evidencePath, join(dir, 'image.lime'));
  } finally {
    await stage.close();
  }
  rmSync(join(dir, 'stage'), { recursive: true });
}

/** Copies the files of a node that its agent reads into the new folder `dir`. */
async function keepTree(node: LabNode, dir: string): Promise<void> {
  mkdirSync(dir);
  const paths = new Map<string, string>(Object.entries(realSystem('/') satisfies SystemPaths));
  const copies = files.map((name) => `cat ${paths.get(name)} >${name}`);
  const script = [
    'set -e; mkdir /tmp/tree /tmp/tree/containerLogs; cd /tmp/tree',
    // The headers and notes are in front; behind them is the memory.
    ...copies.map((line) => line.replace('cat /proc/kcore', 'head -c 65536 /proc/kcore')),
    `for link in ${paths.get('containerLogs')}/*; do test ! -L "$link" || cp -P "$link" containerLogs; done`,
    'tar -c .',
  ].join('\n');
  const tarPath = `${dir}.tar`;
  await node.capture(script, tarPath);
  await command('tar', ['-x', '-f', tarPath, '-C', dir]);
  rmSync(tarPath);
}

/** A name for all that the recording is made of and by: the agent's own code too, which so is never proven by an agent of the past. */
async function stateOf(options: KernelNode): Promise<string> {
  const kernel = await ensureKernel(options.kernel);
  const root = await ensureRootImage();
  const built = [dirname(root.imagePath), await ensureInitrd(kernel, root.busyboxPath), await ensureAgentRuntime()];
  const emulator = await ensureEmulator();
  const sources = globSync(['{agent,proto}/**/*.ts', 'tools/lab/*.ts', 'tools/lab/host/*.c'], { cwd: repoDir })
    .filter((path) => !/node_modules|\.test\.ts$|\/testing\//.test(path))
    .sort();
  return fingerprint({
    texts: [
      JSON.stringify(options),
      kernel.release,
      ...built.map((path) => basename(path)),
      relative(cacheDir, emulator[0] ?? ''),
    ],
    paths: [...sources.map((path) => join(repoDir, path)), import.meta.filename, join(repoDir, 'test/story/oracle.ts')],
  });
}
