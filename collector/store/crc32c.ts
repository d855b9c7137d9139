/** Reflected polynomial of Castagnoli. */
const polynomial = 0x82f63b78;
/** Bytes that one turn of the inner loop takes: as many tables, 16 KiB, fit into the first cache of a processor. */
const slices = 16;

/** Table k, at k * 256: what a byte does to the sum with k bytes after it. */
const tables = makeTables();
const isLittleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** CRC-32C (Castagnoli) of bytes that come in parts: what Google Cloud Storage keeps of each object. Node has CRC-32 only. */
export class Crc32c {
  #sum = -1;

  update(data: Uint8Array): this {
    this.#sum = isLittleEndian ? sumOf(this.#sum, data) : sumBytes(this.#sum, data, 0, data.length);
    return this;
  }

  /** The sum so far: eight lower-case hex digits. */
  digest(): string {
    return (~this.#sum >>> 0).toString(16).padStart(8, '0');
  }
}

function sumOf(start: number, data: Uint8Array): number {
  // The words of a Uint32Array begin at a multiple of four.
  const head = -data.byteOffset & 3;
  const slots = Math.floor((data.length - head) / slices);
  if (slots <= 0) return sumBytes(start, data, 0, data.length);
  const words = new Uint32Array(data.buffer, data.byteOffset + head, slots * 4);
  return sumBytes(sumWords(sumBytes(start, data, 0, head), words), data, head + slots * slices, data.length);
}

function sumBytes(start: number, data: Uint8Array, from: number, to: number): number {
  let sum = start;
  for (let i = from; i < to; i++) sum = (tables[(sum ^ (data[i] as number)) & 255] as number) ^ (sum >>> 8);
  return sum;
}

function sumWords(start: number, words: Uint32Array): number {
  const t = tables;
  let sum = start;
  for (let i = 0; i < words.length; i += 4) {
    const a = (words[i] as number) ^ sum;
    const b = words[i + 1] as number;
    const c = words[i + 2] as number;
    const d = words[i + 3] as number;
    sum =
      (t[3840 + (a & 255)] as number) ^
      (t[3584 + ((a >>> 8) & 255)] as number) ^
      (t[3328 + ((a >>> 16) & 255)] as number) ^
      (t[3072 + (a >>> 24)] as number) ^
      (t[2816 + (b & 255)] as number) ^
      (t[2560 + ((b >>> 8) & 255)] as number) ^
      (t[2304 + ((b >>> 16) & 255)] as number) ^
      (t[2048 + (b >>> 24)] as number) ^
      (t[1792 + (c & 255)] as number) ^
      (t[1536 + ((c >>> 8) & 255)] as number) ^
      (t[1280 + ((c >>> 16) & 255)] as number) ^
      (t[1024 + (c >>> 24)] as number) ^
      (t[768 + (d & 255)] as number) ^
      (t[512 + ((d >>> 8) & 255)] as number) ^
      (t[256 + ((d >>> 16) & 255)] as number) ^
      (t[d >>> 24] as number);
  }
  return sum;
}

function makeTables(): Int32Array {
  const made = new Int32Array(slices * 256);
  for (let byte = 0; byte < 256; byte++) {
    let sum = byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ polynomial : sum >>> 1;
    made[byte] = sum;
  }
  for (let i = 256; i < made.length; i++) {
    const before = made[i - 256] as number;
    made[i] = (made[before & 255] as number) ^ (before >>> 8);
  }
  return made;
}
