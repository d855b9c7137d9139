/** Start of a range of an image and how many bytes it has. */
export interface Range {
  readonly offset: number;
  readonly length: number;
}

/** An image in memory, the ranges of it that plugins read, and random numbers from 0 to 1. */
export interface Damageable {
  readonly image: Buffer;
  readonly read: readonly Range[];
  readonly next: () => number;
}

/** A kind of damage; returns the damaged bytes, which can be a part of those given. */
interface Damage {
  readonly name: string;
  readonly apply: (whole: Damageable) => Buffer;
}

const pageBytes = 4096;
const blockBytes = 64 * 1024;
const wordBytes = 8;
/** Pages with fewer are text, page cache or zeros. */
const leastPointers = 16;

/** Each does what a disk, a network or somebody with the image might. */
export const damages: readonly Damage[] = [
  { name: 'a bit in each MiB flipped', apply: (whole) => flipOneIn(whole, 2 ** 20) },
  { name: 'a bit in each 64 KiB flipped', apply: (whole) => flipOneIn(whole, blockBytes) },
  { name: 'a bit in each page flipped', apply: (whole) => flipOneIn(whole, pageBytes) },
  { name: 'a bit in every fourth page that plugins read flipped', apply: flipWhatIsRead },
  { name: 'a bit in one of 64 kernel pointers flipped', apply: (whole) => changeWords(whole, 1 / 64, flipPointer) },
  {
    name: 'one of 64 kernel pointers replaced by another',
    apply: (whole) => changeWords(whole, 1 / 64, replacePointer),
  },
  {
    name: 'one of 64 numbers beside kernel pointers all ones',
    apply: (whole) => changeWords(whole, 1 / 64, fillNumber),
  },
  { name: 'cut', apply: ({ image, next }) => image.subarray(0, below(next, image.length)) },
  { name: 'one of 50 blocks zeroed', apply: zeroBlocks },
  { name: 'one of 50 blocks swapped with another', apply: swapBlocks },
];

const below = (next: () => number, limit: number): number => Math.floor(next() * limit);

function flipBit(image: Buffer, at: number, next: () => number): void {
  image[at] = (image[at] ?? 0) ^ (1 << below(next, 8));
}

function flipOneIn({ image, next }: Damageable, bytes: number): Buffer {
  for (let start = 0; start < image.length; start += bytes)
    flipBit(image, start + below(next, Math.min(bytes, image.length - start)), next);
  return image;
}

function flipWhatIsRead({ image, read, next }: Damageable): Buffer {
  for (const at of pagesOf(read)) if (next() < 1 / 4) flipBit(image, at + below(next, pageBytes), next);
  return image;
}

/** Changes a share of the words in pages that plugins read and that hold kernel pointers. */
function changeWords({ image, read, next }: Damageable, share: number, change: Change): Buffer {
  for (const page of pagesOf(read)) {
    const words = Array.from({ length: pageBytes / wordBytes }, (_, index) => page + index * wordBytes);
    const pointers = words.filter((at) => isPointer(image, at));
    if (pointers.length < leastPointers) continue;
    for (const at of words) if (next() < share) change(image, at, { pointers, next });
  }
  return image;
}

type Change = (
  image: Buffer,
  at: number,
  page: { readonly pointers: readonly number[]; readonly next: () => number },
) => void;

const flipPointer: Change = (image, at, { next }) => {
  // The upper two bytes decide only whether it is an address at all.
  if (isPointer(image, at)) flipBit(image, at + below(next, 6), next);
};

const replacePointer: Change = (image, at, { pointers, next }) => {
  const from = pointers[below(next, pointers.length)] ?? at;
  if (isPointer(image, at)) image.copy(image, at, from, from + wordBytes);
};

const fillNumber: Change = (image, at) => {
  if (!isPointer(image, at)) image.fill(0xff, at, at + wordBytes);
};

/** True for a word from 0xffff800000000000 on that is no small negative number: an address of the direct map, the heap or the kernel. */
function isPointer(image: Buffer, at: number): boolean {
  const [lower, upper] = [image.readUInt32LE(at), image.readUInt32LE(at + 4)];
  return upper === 0xffff_ffff ? lower >= 0x8000_0000 && lower < 0xff00_0000 : upper >= 0xffff_8000;
}

function zeroBlocks({ image, next }: Damageable): Buffer {
  for (const at of blocksOf(image, next)) image.fill(0, at, at + blockBytes);
  return image;
}

function swapBlocks({ image, next }: Damageable): Buffer {
  for (const at of blocksOf(image, next)) {
    const other = below(next, Math.floor(image.length / blockBytes)) * blockBytes;
    const held = Buffer.from(image.subarray(at, at + blockBytes));
    image.copy(image, at, other, other + blockBytes);
    held.copy(image, other);
  }
  return image;
}

/** One of 50, by their offsets. */
function blocksOf(image: Buffer, next: () => number): number[] {
  const all = Array.from({ length: Math.floor(image.length / blockBytes) }, (_, index) => index * blockBytes);
  return all.filter(() => next() < 1 / 50);
}

function pagesOf(ranges: readonly Range[]): Iterable<number> {
  const pages = new Set<number>();
  for (const { offset, length } of ranges)
    for (let at = 0; at + pageBytes <= length; at += pageBytes) pages.add(offset + at);
  return pages;
}
