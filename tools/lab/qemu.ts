import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';

export type Accelerator = 'tcg' | 'kvm';

export interface Machine {
  /** The words that run QEMU; see ensureEmulator. */
  emulator: readonly string[];
  accel: Accelerator;
  memoryMiB: number;
  /** 5-level paging, where the accelerator has it. */
  la57: boolean;
  vmlinuzPath: string;
  initrdPath: string;
  consolePath: string;
  /** What QEMU itself says. */
  logPath: string;
  /** Free words for the kernel's command line. */
  cmdline?: string;
  disks: { path: string; kind: 'snapshot' | 'readonly' }[];
  /** The port on 127.0.0.1 behind which the node's exec-server answers. */
  execPort?: number;
  /**
   * The words before QEMU's own that give it a tap device as descriptor 3 (see lab-net.c): a fast network for eth0. Without
   * them QEMU's user-mode network serves, at a tenth of the speed.
   */
  tapCommand?: readonly string[];
  /** Whether QEMU ends with the process that started it, however that ends; otherwise it stays until told. */
  endsWithUs: boolean;
}

/** Starts QEMU. Two cards: eth0 for the node and its pods (10.0.2.2 is this machine's loopback), eth1 for the exec-server alone. */
export function startQemu(machine: Machine): ChildProcess {
  const log = openSync(machine.logPath, 'a');
  // The kernel sends the signal when the thread that started QEMU ends: also after kill -9.
  const [program = '', ...before] = [
    ...(machine.endsWithUs ? ['setpriv', '--pdeathsig', 'KILL'] : []),
    ...(machine.tapCommand ?? []),
    ...machine.emulator,
  ];
  const child = spawn(program, [...before, ...qemuArguments(machine)], {
    stdio: ['ignore', log, log],
    // an own process group: a Ctrl-C in the terminal is for us, and we take the node down in order
    detached: true,
  });
  closeSync(log);
  return child;
}

function qemuArguments(machine: Machine): string[] {
  // Emulated, what these two announce copies byte by byte: memory is read at a third of the speed.
  const cpu = machine.accel === 'tcg' ? 'max,erms=off,fsrm=off' : 'max';
  const words = ['console=ttyS0', 'quiet', 'panic=-1', 'mitigations=off', 'apparmor=0'];
  if (!machine.la57) words.push('no5lvl');
  if (machine.cmdline) words.push(machine.cmdline);
  const forward = machine.execPort === undefined ? '' : `,hostfwd=tcp:127.0.0.1:${machine.execPort}-10.0.3.15:10000`;
  return [
    ...['-M', 'q35', '-accel', machine.accel === 'tcg' ? 'tcg,thread=multi' : 'kvm', '-cpu', cpu, '-smp', '2'],
    ...['-m', String(machine.memoryMiB), '-display', 'none', '-monitor', 'none', '-no-reboot', '-nodefaults'],
    ...['-serial', `file:${machine.consolePath}`, '-kernel', machine.vmlinuzPath, '-initrd', machine.initrdPath],
    ...['-append', words.join(' '), '-device', 'virtio-rng-pci'],
    ...[
      '-netdev',
      machine.tapCommand ? 'tap,id=n0,fd=3' : 'user,id=n0,ipv6=off',
      '-device',
      'virtio-net-pci,netdev=n0,romfile=',
    ],
    ...[
      '-netdev',
      `user,id=n1,ipv6=off,net=10.0.3.0/24,restrict=on${forward}`,
      '-device',
      'virtio-net-pci,netdev=n1,romfile=',
    ],
    ...machine.disks.flatMap(({ path, kind }) => [
      '-drive',
      `file=${path.replaceAll(',', ',,')},format=raw,if=virtio,cache=unsafe,${kind === 'snapshot' ? 'snapshot=on' : 'readonly=on'}`,
    ]),
  ];
}

export function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
