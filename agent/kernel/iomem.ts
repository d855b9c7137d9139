/** One range of physical memory, both ends inclusive. */
export interface RamRange {
  readonly start: bigint;
  readonly end: bigint;
}

/** Memory that the kernel uses and AVML leaves out, by what added it: see LeftOutMemory of the contract. */
export interface LeftOutMemory {
  readonly kind: string;
  readonly bytes: bigint;
}

/** System RAM by /proc/iomem. */
export interface Iomem {
  /** The ranges that AVML acquires. */
  readonly ranges: RamRange[];
  /** The kernel prints every address as 0 to a reader without CAP_SYS_ADMIN. */
  readonly hidden: boolean;
  readonly leftOut: LeftOutMemory[];
}

// A driver that adds memory calls it "System RAM (NAME)": kmem (CXL, DAX, persistent memory as RAM), virtio_mem.
const line = /^( *)([0-9a-f]{1,16})-([0-9a-f]{1,16}) : System RAM(?: \(([\w-]{1,32})\))?$/;
const nested = 'nested';
const mostKinds = 8;

/** AVML 0.21 takes lines that are not indented and end with ` : System RAM`, no others. */
export function parseIomem(text: string): Iomem {
  const ranges: RamRange[] = [];
  const others = new Map<string, RamRange[]>();
  for (const entry of text.split('\n')) {
    const [, indent, start, end, driver] = line.exec(entry) ?? [];
    const range = { start: BigInt(`0x${start ?? 0}`), end: BigInt(`0x${end ?? 0}`) };
    if (range.end <= range.start) continue;
    if (indent === '' && driver === undefined) ranges.push(range);
    else {
      const kind = driver ?? nested;
      const key = others.has(kind) || others.size < mostKinds - 1 ? kind : 'other';
      const known = others.get(key);
      if (known === undefined) others.set(key, [range]);
      else known.push(range);
    }
  }
  return { ranges, hidden: ranges.length === 0, leftOut: leftOutOf(ranges, others) };
}

/** Bytes of each kind that are in no range before: entries of iomem lie within others. */
function leftOutOf(ranges: readonly RamRange[], others: ReadonlyMap<string, RamRange[]>): LeftOutMemory[] {
  let seen = [...ranges];
  let seenBytes = bytesOf(seen);
  return [...others].flatMap(([kind, more]) => {
    seen = [...seen, ...more];
    const bytes = bytesOf(seen) - seenBytes;
    seenBytes += bytes;
    return bytes === 0n ? [] : [{ kind, bytes }];
  });
}

/** Bytes in at least one of the ranges. */
function bytesOf(ranges: readonly RamRange[]): bigint {
  let bytes = 0n;
  let next = 0n;
  for (const { start, end } of ranges.toSorted((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0))) {
    const from = start > next ? start : next;
    if (end < from) continue;
    bytes += end - from + 1n;
    next = end + 1n;
  }
  return bytes;
}
