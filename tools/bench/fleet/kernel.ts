import { createHash } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { KernelDescriptorSchema } from '@kcorder/proto/gen/kcorder/v1/node_pb.ts';

/** Kernels of a fleet: node pools in the middle of an upgrade. */
const kernels = 5;
const vmcoreinfoBytes = 3_000;
const ranges = 12;
const rangeBytes = 8n << 20n;

/** What a node says of its kernel, as large as that of a real one. The same for the same number. Its types are not offered: no symbols are built. */
export function kernelOf(node: number): MessageInitShape<typeof KernelDescriptorSchema> {
  const release = `6.1.0-${20 + (node % kernels)}-cloud-amd64`;
  const idOf = (what: string): string => createHash('sha256').update(what).digest('hex');
  return {
    release,
    banner: `Linux version ${release} (debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14) 12.2.0, GNU ld (GNU Binutils for Debian) 2.40) #1 SMP PREEMPT_DYNAMIC Debian 6.1.${90 + (node % kernels)}-1 (2024-05-03)`,
    buildId: idOf(release).slice(0, 40),
    vmcoreinfo: vmcoreinfo(release, idOf(`boot ${node}`)),
    architecture: 'x86_64',
    cosBuildId: '',
    bootId: idOf(`boot ${node}`).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/, '$1-$2-$3-$4-$5'),
    machineId: idOf(`machine ${node}`).slice(0, 32),
    lockdown: 'none',
    ramRanges: Array.from({ length: ranges }, (_, index) => {
      const start = 0x1000n + BigInt(index) * 2n * rangeBytes;
      return { start, end: start + rangeBytes - 1n };
    }),
    typesDigest: '',
    typesProblem: 'this node of a bench has no types',
  };
}

/** KASLR gives each boot addresses of its own. */
function vmcoreinfo(release: string, boot: string): string {
  let text = `OSRELEASE=${release}\nPAGESIZE=4096\nKERNELOFFSET=${boot.slice(0, 8)}\n`;
  for (let index = 0; text.length < vmcoreinfoBytes; index += 1) {
    text += `SYMBOL(symbol_${index})=ffffffff${boot.slice(index % 48, (index % 48) + 8)}\nOFFSET(structure_${index}.member)=${index * 8}\n`;
  }
  return text;
}
