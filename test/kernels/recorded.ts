import type { KernelNode } from './record.ts';

/** A node of a kernel series that tests share a recording of. */
export function recordedNode(series: string, la57: boolean): KernelNode {
  return { name: `rows-${series.replace('.', '-')}`, kernel: series, la57, memoryMiB: 512 };
}
