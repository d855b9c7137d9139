import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cachePath } from '../setup/cache.ts';
import { environment } from '../setup/environment.ts';
import type { Kernel } from '../setup/kernel.ts';
import { withLock } from '../setup/lock.ts';
import { say } from '../setup/progress.ts';
import { type Accelerator, readIfThere, startQemu } from './qemu.ts';

const selfTestLimitMs = 8000;

/** KVM if a tiny guest really comes to life with it (asked once per boot of this machine), else TCG. KCORDER_ACCEL overrides. */
export async function chooseAccelerator(
  emulator: readonly string[],
  kernel: Kernel,
  initrdPath: string,
): Promise<Accelerator> {
  const spec = environment.accel;
  if (spec === 'tcg' || spec === 'kvm') return spec;
  if (spec) throw new Error(`KCORDER_ACCEL is "${spec}": it may be tcg or kvm`);
  const path = cachePath('lab', 'accelerator');
  const bootId = readIfThere('/proc/sys/kernel/random/boot_id').trim();
  return await withLock(`${path}.lock`, async () => {
    const [knownBoot, known] = readIfThere(path).split(' ');
    if (knownBoot === bootId && (known === 'tcg' || known === 'kvm')) return known;
    const accel = (await comesToLife(emulator, kernel, initrdPath)) ? 'kvm' : 'tcg';
    say(accel === 'kvm' ? '- KVM works: using it' : '- KVM is missing or does not work here: using TCG');
    writeFileSync(path, `${bootId} ${accel}`);
    return accel;
  });
}

async function comesToLife(emulator: readonly string[], kernel: Kernel, initrdPath: string): Promise<boolean> {
  try {
    readFileSync('/dev/kvm', { flag: 'r' });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'EACCES') return false;
    // anything else: the device is there and has no bytes to read
  }
  const folder = mkdtempSync(join(tmpdir(), 'kcorder-kvm-'));
  const consolePath = join(folder, 'console.log');
  const qemu = startQemu({
    emulator,
    accel: 'kvm',
    memoryMiB: 256,
    la57: false,
    vmlinuzPath: kernel.vmlinuzPath,
    initrdPath,
    consolePath,
    logPath: join(folder, 'qemu.log'),
    cmdline: 'lab.selftest',
    disks: [],
    endsWithUs: true,
  });
  let ended = false;
  qemu.once('exit', () => {
    ended = true;
  });
  qemu.once('error', () => {
    ended = true;
  });
  const deadline = performance.now() + selfTestLimitMs;
  const alive = () => /^lab: alive/m.test(readIfThere(consolePath));
  while (!ended && !alive() && performance.now() < deadline) await sleep(50);
  const result = alive();
  qemu.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
  return result;
}
