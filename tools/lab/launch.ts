import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../collector/testing/free-port.ts';
import { ensureAgentRuntime } from '../setup/agent-runtime.ts';
import { ensureEmulator } from '../setup/emulator.ts';
import { ensureHostPackages } from '../setup/host-packages.ts';
import { ensureKernel } from '../setup/kernel.ts';
import { withLock } from '../setup/lock.ts';
import { processStart } from '../setup/process.ts';
import { chooseAccelerator } from './accelerator.ts';
import { boot } from './boot.ts';
import { ensureInitrd } from './initrd.ts';
import { ensureLabNet } from './network.ts';
import { podFiles, standardPods } from './pods.ts';
import type { Accelerator, Machine } from './qemu.ts';
import { ensureRootImage } from './root-image.ts';
import { type SettingsFile, shellVariables, writeTar } from './settings.ts';
import { find, type NodeState, nodeFolder, save } from './state.ts';

export interface NodeOptions {
  name: string;
  /** A series such as `6.1`, `newest`, or a folder with the unpacked packages of a kernel. */
  kernel?: string;
  memoryMiB?: number;
  /** 5-level paging. */
  la57?: boolean;
  /** Whether the standard pods run. */
  pods?: boolean;
  accel?: Accelerator;
  signal?: AbortSignal;
}

type MachineParts = Omit<Machine, 'execPort'>;

const bootAttempts = 5;

/** Boots a node and resolves when it answers and its pods listen. */
export async function launch(options: NodeOptions, life: { endsWithUs: boolean }): Promise<NodeState> {
  const { name } = options;
  if (!/^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$/.test(name)) {
    throw new Error(`"${name}" cannot name a lab node: use small letters, digits and dashes`);
  }
  await ensureHostPackages();
  const kernel = await ensureKernel(options.kernel ?? '6.1');
  const root = await ensureRootImage();
  const agentRuntimePath = await ensureAgentRuntime();
  const initrdPath = await ensureInitrd(kernel, root.busyboxPath);
  const emulator = await ensureEmulator();
  const accel = options.accel ?? (await chooseAccelerator(emulator, kernel, initrdPath));
  const labNetPath = await ensureLabNet();
  const folder = nodeFolder(name);
  return await withLock(`${folder}.lock`, async () => {
    if (find(name)) throw new Error(`lab node ${name} is up already: take it down first, or choose another name`);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    const token = randomBytes(16).toString('hex');
    const settingsPath = await writeSettings(folder, options, token);
    const machine: MachineParts = {
      emulator,
      accel,
      memoryMiB: options.memoryMiB ?? 1024,
      la57: options.la57 ?? false,
      vmlinuzPath: kernel.vmlinuzPath,
      initrdPath,
      consolePath: join(folder, 'console.log'),
      logPath: join(folder, 'qemu.log'),
      disks: [
        { path: root.imagePath, kind: 'snapshot' },
        { path: agentRuntimePath, kind: 'readonly' },
        { path: settingsPath, kind: 'readonly' },
      ],
      ...(labNetPath ? { tapCommand: [labNetPath, 'run'] } : {}),
      endsWithUs: life.endsWithUs,
    };
    const identity = { name, folder, token, kernelRelease: kernel.release, ...(labNetPath ? { labNetPath } : {}) };
    return await bootOnFreePort(machine, identity, options.signal);
  });
}

/** A port found free may be taken before QEMU has it: QEMU then ends at once and another is tried. */
async function bootOnFreePort(
  parts: MachineParts,
  identity: { name: string; folder: string; token: string; kernelRelease: string; labNetPath?: string },
  signal?: AbortSignal,
): Promise<NodeState> {
  for (let attempt = 1; ; attempt++) {
    const execPort = await freePort();
    const stateOf = (pid: number): NodeState => ({
      name: identity.name,
      pid,
      processStart: processStart(pid) ?? '',
      folder: identity.folder,
      consolePath: parts.consolePath,
      ...(identity.labNetPath ? { labNetPath: identity.labNetPath } : {}),
      exec: { port: execPort, token: identity.token },
      kernelRelease: identity.kernelRelease,
      memoryMiB: parts.memoryMiB,
      la57: parts.la57,
      accel: parts.accel,
    });
    // written down as soon as QEMU runs, so that a node that never gets ready can be taken down too
    const ended = await boot({ ...parts, execPort }, (pid) => save(stateOf(pid)), signal);
    if (ended.kind === 'ready') return stateOf(ended.pid);
    if (ended.portTaken && attempt < bootAttempts) continue;
    throw new Error(`lab node ${identity.name} did not come up: ${ended.why}\n(its console: ${parts.consolePath})`);
  }
}

/** The disk that tells a node who it is: a plain tar, read at start. */
async function writeSettings(folder: string, options: NodeOptions, token: string): Promise<string> {
  const files: SettingsFile[] = [
    { path: 'token', text: token },
    {
      path: 'node.env',
      text: shellVariables({
        NODE_NAME: options.name,
        PODS: (options.pods ?? true) ? '1' : '0',
        MACHINE_ID: randomBytes(16).toString('hex'),
      }),
    },
    ...standardPods.flatMap((pod) => podFiles(pod, `pods/${pod.namespace}_${pod.name}`)),
  ];
  const tarPath = join(folder, 'settings.tar');
  await writeTar(tarPath, files);
  return tarPath;
}
