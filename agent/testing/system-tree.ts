import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SystemPaths } from '../system.ts';

/** What differs from a node that can be captured; null leaves the file out. */
export type TreeChanges = Partial<Record<keyof SystemPaths, string | Buffer | null>>;

/** One note of an ELF section, aligned to 4 bytes. */
export function elfNote(name: string, type: number, descriptor: Buffer): Buffer {
  const header = Buffer.alloc(12);
  const nameBytes = Buffer.from(`${name}\0`);
  header.writeUInt32LE(nameBytes.length, 0);
  header.writeUInt32LE(descriptor.length, 4);
  header.writeUInt32LE(type, 8);
  const padded = (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
  return Buffer.concat([header, padded(nameBytes), padded(descriptor)]);
}

/** A 64-bit ELF core with one note segment and one segment whose offset exceeds 2^53, as kcore has them. */
export function elfCore(notes: Buffer): Buffer {
  const header = Buffer.alloc(64 + 2 * 56);
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]).copy(header);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(2, 56);
  header.writeUInt32LE(1, 64);
  header.writeBigUInt64LE(0x7fff_8000_0000_1000n, 64 + 8);
  header.writeBigUInt64LE(0x1_0000_0000n, 64 + 32);
  header.writeUInt32LE(4, 120);
  header.writeBigUInt64LE(BigInt(header.length), 120 + 8);
  header.writeBigUInt64LE(BigInt(notes.length), 120 + 32);
  return Buffer.concat([header, notes]);
}

export const vmcoreinfo = 'OSRELEASE=6.1.0-56-cloud-amd64\nKERNELOFFSET=1a000000\nNUMBER(phys_base)=0\n';

const files: Record<Exclude<keyof SystemPaths, 'architecture' | 'containerLogs'>, string | Buffer> = {
  kcore: elfCore(
    Buffer.concat([elfNote('CORE', 1, Buffer.alloc(336, 7)), elfNote('VMCOREINFO', 0, Buffer.from(vmcoreinfo))]),
  ),
  iomem:
    '00001000-0009fbff : System RAM\n000a0000-000bffff : PCI Bus 0000:00\n00100000-3ffdafff : System RAM\n  01000000-01ffffff : Kernel code\n100000000-17fffffff : virtio0\n  100000000-13fffffff : System RAM (virtio_mem)\n',
  kernelNotes: Buffer.concat([
    elfNote('Xen', 6, Buffer.from('linux')),
    elfNote('GNU', 3, Buffer.from('7bdad2f33eb86414', 'hex')),
  ]),
  banner: 'Linux version 6.1.0-56-cloud-amd64 (debian-kernel@lists.debian.org) #1 SMP Debian 6.1.1-1\n',
  btf: 'type information',
  kallsyms:
    '0000000000000000 A fixed_percpu_data\n000000000001ff00 A runqueues\nffffffff9b000000 T _stext\nffffffff9c123450 D init_task\nffffffffc0001000 t of_a_module\t[ext4]\n',
  release: '6.1.0-56-cloud-amd64\n',
  bootId: '0f2ac1c2-5c4b-4f0e-9d0e-0123456789ab\n',
  lockdown: '[none] integrity confidentiality\n',
  selfStatus: 'Name:\tnode\nCapInh:\t0000000000000000\nCapEff:\t000001ffffffffff\n',
  uidMap: '         0          0 4294967295\n',
  mountinfo: '22 1 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:12 - proc proc rw\n',
  osRelease: 'ID=cos\nVERSION_ID="117"\nBUILD_ID="18613.0.0"\n',
  machineId: '0123456789abcdef0123456789abcdef\n',
};

/** Writes the files of a node that can be captured under `dir`, with the changes, and returns where they are. */
export function makeSystemTree(dir: string, changes: TreeChanges = {}): SystemPaths {
  const containerLogs = join(dir, 'containers');
  mkdirSync(containerLogs, { recursive: true });
  const id = '3a'.repeat(32);
  symlinkSync('/var/log/pods/demo_web-0_6f1e/nginx/0.log', join(containerLogs, `web-0_demo_nginx-${id}.log`));
  const paths: Record<string, string> = { containerLogs, architecture: 'x86_64' };
  for (const [name, content] of Object.entries({ ...files, ...changes })) {
    if (name === 'architecture') paths[name] = String(content);
    else {
      const path = join(dir, name);
      if (content !== null) writeFileSync(path, content);
      paths[name] = path;
    }
  }
  return paths as unknown as SystemPaths;
}
