import { BadInput } from '../bad-input.ts';
import { type Tail, tailBytes } from './kinds.ts';

const magic = 0xeb9f;
const leastBytes = 24;
/** With the place of the layout (Linux 7.1). */
const knownBytes = 32;
/** struct btf_layout: bytes of the fixed part, of each item, and flags of which none is known. */
const layoutBytes = 4;
const lastKind = 0x7f;

/** The end of a refusal of BTF that is not known. */
export const newer = 'the kernel is newer than this builder, so give a vmlinux or an ISF instead';

/** Where the parts of BTF lie, all of them within the file. */
export interface BtfHeader {
  readonly typesAt: number;
  readonly typesEnd: number;
  readonly stringsAt: number;
  readonly stringsBytes: number;
  /** Sizes of types by kind: those that are known, then those that only the BTF itself tells. */
  readonly tails: readonly Tail[];
}

/**
 * Reads struct btf_header (include/uapi/linux/btf.h). `name` names the file in messages; `base` is the kernel's
 * header, for the BTF of a module. Throws BadInput.
 */
export function readHeader(bytes: Buffer, name: string, base: BtfHeader | undefined): BtfHeader {
  const refusal = (offset: number, problem: string, isUnknown = false) =>
    new BadInput(`${name} at 0x${offset.toString(16)}`, problem, isUnknown ? 'unsupported' : 'damaged');
  if (bytes.length < leastBytes || bytes.readUInt16LE(0) !== magic) throw new BadInput(name, 'this is no BTF');
  if (bytes[2] !== 1) throw refusal(2, `version ${bytes[2]} of BTF is not known: ${newer}`, true);
  if (bytes[3] !== 0) throw refusal(3, `flags 0x${bytes[3]?.toString(16)} of BTF are not known: ${newer}`, true);
  const bodyAt = bytes.readUInt32LE(4);
  if (bodyAt < leastBytes || bodyAt > bytes.length) throw refusal(4, `a header of ${bodyAt} bytes`);
  if (bytes.subarray(knownBytes, bodyAt).some((byte) => byte !== 0))
    throw refusal(knownBytes, `the header has fields that are not known: ${newer}`, true);
  const part = (offset: number, what: string) => {
    const at = bodyAt + bytes.readUInt32LE(offset);
    const length = bytes.readUInt32LE(offset + 4);
    if (at + length > bytes.length) throw refusal(offset, `the ${what} go beyond the end`);
    return { at, length };
  };
  const types = part(8, 'types');
  const strings = part(16, 'strings');
  const header = {
    typesAt: types.at,
    typesEnd: types.at + types.length,
    stringsAt: strings.at,
    stringsBytes: strings.length,
  };
  const layout = bodyAt < knownBytes ? undefined : part(24, 'sizes of the kinds');
  if (!layout?.length) return { ...header, tails: base?.tails ?? tailBytes };
  const tails = [...tailBytes];
  for (let kind = 0; kind <= lastKind && (kind + 1) * layoutBytes <= layout.length; kind += 1) {
    const at = layout.at + kind * layoutBytes;
    const tail = { fixed: bytes.readUInt8(at), each: bytes.readUInt8(at + 1) };
    const known = tailBytes[kind];
    if (known && (known.fixed !== tail.fixed || known.each !== tail.each))
      throw refusal(at, `types of kind ${kind} are said to have another size than they have`);
    if (tail.fixed % 4 !== 0 || tail.each % 4 !== 0) throw refusal(at, `types of kind ${kind} end between two numbers`);
    if (bytes.readUInt16LE(at + 2) === 0) tails[kind] = tail;
  }
  return { ...header, tails };
}
