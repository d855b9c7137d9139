const quote = 0x22;
const backslash = 0x5c;
const colon = 0x3a;
const openObject = 0x7b;
const closeObject = 0x7d;
const openArray = 0x5b;
const closeArray = 0x5d;
const keyLimitBytes = 256;
const bannerLimitBytes = 65_536;
/** An ISF of a kernel has some 250,000. */
const mostNames = 4_000_000;

/** What a scan of a whole ISF found. */
export interface IsfContent {
  /** Banner of the kernel, without line end and NUL; undefined when the symbol linux_banner carries no constant. */
  readonly banner: string | undefined;
  readonly userTypes: number;
  readonly symbols: number;
}

/**
 * One pass over the text of an ISF in chunks of any size, in constant memory: finds the constant of the symbol linux_banner, counts symbols
 * and types, and notices text that is cut or is no JSON object. Values are not checked: that is left to the reader of the whole.
 */
export class IsfScan {
  #depth = 0;
  #inString = false;
  #escaped = false;
  #ended = false;
  #key: Buffer[] = [];
  #keyBytes = 0;
  #lastString = '';
  #names = 0;
  #section = '';
  #name = '';
  #userTypes = 0;
  #symbols = 0;
  #banner: Buffer[] | undefined;
  #bannerBytes = 0;
  #bannerText: string | undefined;
  #problem: string | undefined;

  /** Takes the next bytes; false once the text is known to be no ISF, after which nothing more needs to be read. */
  push(chunk: Buffer): boolean {
    let at = 0;
    let bannerFrom = this.#banner === undefined ? -1 : 0;
    while (at < chunk.length && this.#problem === undefined) {
      if (this.#inString) {
        at = this.#string(chunk, at);
        continue;
      }
      const byte = chunk[at] as number;
      at += 1;
      if (byte === quote) {
        this.#startString();
      } else if (byte === colon) {
        if (this.#depth === 1) this.#section = this.#lastString;
        else if (this.#depth === 2) this.#nameEnds();
      } else if (byte === openObject || byte === openArray) {
        if (this.#opens(byte)) bannerFrom = at - 1;
      } else if (byte === closeObject || byte === closeArray) {
        this.#depth -= 1;
        if (this.#depth === 2 && this.#banner !== undefined) {
          this.#keepBanner(chunk.subarray(bannerFrom, at));
          this.#bannerEnds();
          bannerFrom = -1;
        }
        if (this.#depth === 0) this.#ended = true;
        if (this.#depth < 0) this.#problem = 'closes more brackets than it opens';
      } else if (byte > 0x20 && this.#depth === 0) {
        this.#problem = this.#ended ? 'goes on after its end' : 'is not a JSON object';
      }
    }
    if (bannerFrom >= 0) this.#keepBanner(chunk.subarray(bannerFrom));
    return this.#problem === undefined;
  }

  /** What was found, or why it is no ISF, as a clause about the file. */
  end(): IsfContent | { readonly problem: string } {
    if (this.#problem !== undefined) return { problem: this.#problem };
    if (!this.#ended) return { problem: 'is cut off' };
    return { banner: this.#bannerText, userTypes: this.#userTypes, symbols: this.#symbols };
  }

  #startString(): void {
    if (this.#depth === 0) this.#problem = 'is not a JSON object';
    this.#inString = true;
    this.#key = [];
    this.#keyBytes = 0;
  }

  /** Runs to the end of the string or of the chunk. */
  #string(chunk: Buffer, from: number): number {
    for (let at = from; at < chunk.length; at += 1) {
      const byte = chunk[at];
      if (this.#escaped) {
        this.#escaped = false;
      } else if (byte === backslash) {
        this.#escaped = true;
      } else if (byte === quote) {
        this.#keepKey(chunk, from, at);
        if (this.#depth <= 2) this.#takeName();
        this.#inString = false;
        return at + 1;
      }
    }
    this.#keepKey(chunk, from, chunk.length);
    return chunk.length;
  }

  #takeName(): void {
    this.#names += 1;
    if (this.#names > mostNames) this.#problem = `has more than ${mostNames} names`;
    const [part] = this.#key;
    this.#lastString =
      this.#key.length === 1 && part ? part.toString('utf8') : Buffer.concat(this.#key).toString('utf8');
  }

  #keepKey(chunk: Buffer, from: number, to: number): void {
    if (this.#depth > 2) return;
    const part = chunk.subarray(from, Math.min(to, from + keyLimitBytes - this.#keyBytes));
    this.#key.push(Buffer.from(part));
    this.#keyBytes += part.length;
  }

  #nameEnds(): void {
    this.#name = this.#lastString;
    if (this.#section === 'symbols') this.#symbols += 1;
    else if (this.#section === 'user_types') this.#userTypes += 1;
  }

  /** True when the object that opens here is the symbol linux_banner. */
  #opens(byte: number): boolean {
    if (this.#depth === 0 && (byte === openArray || this.#ended)) this.#problem = 'is not a JSON object';
    this.#depth += 1;
    const starts = this.#depth === 3 && this.#section === 'symbols' && this.#name === 'linux_banner';
    if (starts) {
      this.#banner = [];
      this.#bannerBytes = 0;
    }
    return starts;
  }

  #keepBanner(part: Buffer): void {
    this.#bannerBytes += part.length;
    if (this.#bannerBytes > bannerLimitBytes) this.#problem = 'has a linux_banner of more than 64 KiB';
    else this.#banner?.push(Buffer.from(part));
  }

  #bannerEnds(): void {
    const text = Buffer.concat(this.#banner ?? []).toString('utf8');
    this.#banner = undefined;
    if (this.#problem !== undefined) return;
    try {
      const symbol: unknown = JSON.parse(text);
      if (typeof symbol !== 'object' || symbol === null || !('constant_data' in symbol)) return;
      if (typeof symbol.constant_data === 'string') this.#bannerText = decodeBanner(symbol.constant_data);
    } catch {
      this.#problem = 'has a linux_banner that is no JSON';
    }
  }
}

function decodeBanner(base64: string): string | undefined {
  const text = Buffer.from(base64, 'base64').toString('utf8');
  const [line = ''] = text.split('\0', 1);
  return line.trimEnd() || undefined;
}
