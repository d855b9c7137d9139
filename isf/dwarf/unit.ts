import { BadInput } from '../bad-input.ts';
import type { AbbreviationTable } from './abbreviations.ts';
import type { UnitFormat } from './codes.ts';

/** A unit of .debug_info or .debug_types with its bytes. Offsets called `at` count from the unit's first byte. */
export interface Unit {
  /** Offset of the unit in the space of all units: .debug_info, then .debug_types. */
  readonly start: number;
  /** Its header and entries; nothing behind them. */
  readonly bytes: Buffer;
  readonly format: UnitFormat;
  /** Where its first entry lies. */
  readonly entriesAt: number;
  readonly abbreviationsAt: number;
  /** What a type unit is asked for by, and where its type lies. */
  readonly signature: bigint | undefined;
  readonly typeAt: number;
  table: AbbreviationTable;
  /** The key that the table had: if it has another one now, the table has been overwritten. */
  readonly tableKey: string;
  /** Bases into .debug_str_offsets and .debug_addr that the unit's first entry gives, if it does. */
  strOffsetsBase: number;
  addrBase: number;
}

/** The longest header: 64-bit DWARF 5 type units. */
export const maxHeaderBytes = 40;

const unitKind = { type: 2, skeleton: 4, splitCompile: 5, splitType: 6 } as const;

export function place(unit: { readonly start: number }, at: number): string {
  return `.debug_info at 0x${(unit.start + at).toString(16)}`;
}

/**
 * Bytes of the unit that begins with these bytes, header included (DWARF 5, section 7.4); 4 for the four zero bytes that
 * some linkers leave between units. `start` is for messages. Throws BadInput.
 */
export function unitBytes(head: Buffer, start: number): number {
  if (head.length < 4) throw new BadInput(place({ start }, 0), 'the header of a unit is cut');
  const short = head.readUInt32LE(0);
  if (short < 0xfffffff0) return 4 + short;
  if (short !== 0xffffffff) throw new BadInput(place({ start }, 0), 'the length of a unit has a reserved value');
  if (head.length < 12) throw new BadInput(place({ start }, 0), 'the header of a unit is cut');
  return 12 + head.readUInt32LE(4) + head.readUInt32LE(8) * 2 ** 32;
}

/** What the header of a unit says, as far as it can be said without its first entry. Throws BadInput. */
export function readUnitHeader(
  bytes: Buffer,
  start: number,
  inDebugTypes: boolean,
): Omit<Unit, 'table' | 'tableKey' | 'strOffsetsBase' | 'addrBase'> {
  const wide = bytes.readUInt32LE(0) === 0xffffffff;
  const offsetBytes = wide ? 8 : 4;
  let at = wide ? 12 : 4;
  const take = (count: number) => {
    if (at + count > bytes.length) throw new BadInput(place({ start }, at), 'the header of a unit is cut');
    at += count;
    return at - count;
  };
  const offset = () => {
    const from = take(offsetBytes);
    return bytes.readUInt32LE(from) + (wide ? bytes.readUInt32LE(from + 4) * 2 ** 32 : 0);
  };
  const version = bytes.readUInt16LE(take(2));
  if (version < 2 || version > 5) {
    throw new BadInput(place({ start }, at - 2), `DWARF version ${version} is not known`, 'unsupported');
  }
  let kind = 0;
  let addressBytes: number;
  let abbreviationsAt: number;
  if (version >= 5) {
    kind = bytes[take(1)] as number;
    addressBytes = bytes[take(1)] as number;
    abbreviationsAt = offset();
  } else {
    abbreviationsAt = offset();
    addressBytes = bytes[take(1)] as number;
  }
  if (kind === unitKind.skeleton || kind === unitKind.splitCompile || kind === unitKind.splitType) {
    throw splitDwarf(start, at);
  }
  if (addressBytes !== 8 && addressBytes !== 4) {
    throw new BadInput(place({ start }, at), `addresses of ${addressBytes} bytes`, 'unsupported');
  }
  const isTypeUnit = kind === unitKind.type || inDebugTypes;
  const signature = isTypeUnit ? bytes.readBigUInt64LE(take(8)) : undefined;
  const typeAt = isTypeUnit ? offset() : 0;
  const format = { version, offsetBytes, addressBytes };
  return { start, bytes, format, entriesAt: at, abbreviationsAt, signature, typeAt };
}

export function splitDwarf(start: number, at: number): BadInput {
  const problem = 'the debug information is in .dwo files (-gsplit-dwarf): give a vmlinux that is built without it';
  return new BadInput(place({ start }, at), problem, 'unsupported');
}
