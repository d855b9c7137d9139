import type { KernelDescriptor } from '../gen/kcorder/v1/node_pb.ts';

/** Rules between the values of one message, by its full name. Each returns the violation as the end of a sentence, or undefined. */
export const laws: Readonly<Record<string, (message: never) => string | undefined>> = {
  'kcorder.v1.KernelDescriptor': ({ ramRanges }: KernelDescriptor) => {
    let before = -1n;
    for (const [index, { start, end }] of ramRanges.entries()) {
      const what = `ram_ranges[${index}] is ${hex(start)} to ${hex(end)}`;
      if (end <= start) return `${what}: a range ends after its start`;
      if (start <= before) return `${what}, the one before ends at ${hex(before)}: they ascend and share no byte`;
      before = end;
    }
    return undefined;
  },
};

const hex = (address: bigint): string => `0x${address.toString(16)}`;
