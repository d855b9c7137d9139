/** One range of physical memory, both ends inclusive. */
export interface RamRange {
  readonly start: bigint;
  readonly end: bigint;
}

const line = /^([0-9a-f]{1,16})-([0-9a-f]{1,16}) : System RAM$/;

/** The `System RAM` lines of /proc/iomem. The kernel prints every address as 0 to a reader without CAP_SYS_ADMIN: then it is hidden. */
export function parseIomem(text: string): { ranges: RamRange[]; hidden: boolean } {
  const ranges: RamRange[] = [];
  for (const entry of text.split('\n')) {
    const match = line.exec(entry);
    if (match !== null) ranges.push({ start: BigInt(`0x${match[1]}`), end: BigInt(`0x${match[2]}`) });
  }
  const shown = ranges.filter((range) => range.end > range.start);
  return { ranges: shown, hidden: shown.length === 0 };
}
