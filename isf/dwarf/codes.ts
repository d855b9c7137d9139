/** Numbers of DWARF 5 (section 7.5, tables 7.3, 7.5, 7.6) and of its GNU extensions, as far as they are used. */

export const tag = {
  arrayType: 0x01,
  classType: 0x02,
  enumerationType: 0x04,
  formalParameter: 0x05,
  member: 0x0d,
  pointerType: 0x0f,
  referenceType: 0x10,
  compileUnit: 0x11,
  structureType: 0x13,
  subroutineType: 0x15,
  typedef: 0x16,
  unionType: 0x17,
  unspecifiedParameters: 0x18,
  subrangeType: 0x21,
  baseType: 0x24,
  constType: 0x26,
  enumerator: 0x28,
  packedType: 0x2d,
  variable: 0x34,
  volatileType: 0x35,
  restrictType: 0x37,
  unspecifiedType: 0x3b,
  sharedType: 0x40,
  rvalueReferenceType: 0x42,
  atomicType: 0x47,
  immutableType: 0x4b,
} as const;

export const form = {
  addr: 0x01,
  block2: 0x03,
  block4: 0x04,
  data2: 0x05,
  data4: 0x06,
  data8: 0x07,
  string: 0x08,
  block: 0x09,
  block1: 0x0a,
  data1: 0x0b,
  flag: 0x0c,
  sdata: 0x0d,
  strp: 0x0e,
  udata: 0x0f,
  refAddr: 0x10,
  ref1: 0x11,
  ref2: 0x12,
  ref4: 0x13,
  ref8: 0x14,
  refUdata: 0x15,
  indirect: 0x16,
  secOffset: 0x17,
  exprloc: 0x18,
  flagPresent: 0x19,
  strx: 0x1a,
  addrx: 0x1b,
  refSup4: 0x1c,
  strpSup: 0x1d,
  data16: 0x1e,
  lineStrp: 0x1f,
  refSig8: 0x20,
  implicitConst: 0x21,
  loclistx: 0x22,
  rnglistx: 0x23,
  refSup8: 0x24,
  strx1: 0x25,
  strx2: 0x26,
  strx3: 0x27,
  strx4: 0x28,
  addrx1: 0x29,
  addrx2: 0x2a,
  addrx3: 0x2b,
  addrx4: 0x2c,
  gnuAddrIndex: 0x1f01,
  gnuStrIndex: 0x1f02,
  gnuRefAlt: 0x1f20,
  gnuStrpAlt: 0x1f21,
} as const;

/** The attributes that are read, each with its place in the arrays of an Entry. */
export const slot = {
  none: 0,
  name: 1,
  type: 2,
  byteSize: 3,
  declaration: 4,
  memberLocation: 5,
  bitSize: 6,
  bitOffset: 7,
  dataBitOffset: 8,
  location: 9,
  upperBound: 10,
  count: 11,
  constValue: 12,
  encoding: 13,
  specification: 14,
  external: 15,
  language: 16,
  strOffsetsBase: 17,
  addrBase: 18,
  splitName: 19,
  origin: 20,
  signature: 21,
  size: 22,
} as const;

const attributeCodes: readonly (readonly [number, number])[] = [
  [0x02, slot.location],
  [0x03, slot.name],
  [0x0b, slot.byteSize],
  [0x0c, slot.bitOffset],
  [0x0d, slot.bitSize],
  [0x13, slot.language],
  [0x1c, slot.constValue],
  [0x2f, slot.upperBound],
  [0x31, slot.origin],
  [0x37, slot.count],
  [0x38, slot.memberLocation],
  [0x3c, slot.declaration],
  [0x3e, slot.encoding],
  [0x3f, slot.external],
  [0x47, slot.specification],
  [0x49, slot.type],
  [0x69, slot.signature],
  [0x6b, slot.dataBitOffset],
  [0x72, slot.strOffsetsBase],
  [0x73, slot.addrBase],
  [0x76, slot.splitName],
  [0x2130, slot.splitName],
  [0x2133, slot.addrBase],
];

const slots = new Uint8Array(0x2200);
for (const [code, place] of attributeCodes) slots[code] = place;

/** Place of an attribute by its code, or slot.none. */
export function slotOf(attribute: number): number {
  return slots[attribute] ?? slot.none;
}

const gnuForms = 0x1f00;

/** How an attribute's value is stepped over where its length is not fixed. */
export const step = { leb: -1, string: -2, block1: -3, block2: -4, block4: -5, block: -6, indirect: -7 } as const;

/** How numbers of a unit are stored: DWARF 5, section 7.5.1. */
export interface UnitFormat {
  readonly version: number;
  /** 8 in the 64-bit DWARF format. */
  readonly offsetBytes: number;
  readonly addressBytes: number;
}

const addressSized = -10;
const offsetSized = -11;
const referenceSized = -12;
/** The size of forms that lead into another, supplementary file. */
export const elsewhere = -13;
const unknown = -14;

const sizes = new Int8Array(0x30).fill(unknown);
const gnuSizes = new Int8Array(0x30).fill(unknown);
for (const [size, forms] of [
  [0, [form.flagPresent, form.implicitConst]],
  [1, [form.data1, form.flag, form.ref1, form.strx1, form.addrx1]],
  [2, [form.data2, form.ref2, form.strx2, form.addrx2]],
  [3, [form.strx3, form.addrx3]],
  [4, [form.data4, form.ref4, form.strx4, form.addrx4]],
  [8, [form.data8, form.ref8, form.refSig8]],
  [16, [form.data16]],
  [addressSized, [form.addr]],
  [referenceSized, [form.refAddr]],
  [offsetSized, [form.strp, form.lineStrp, form.secOffset]],
  [step.leb, [form.sdata, form.udata, form.refUdata, form.strx, form.addrx, form.loclistx, form.rnglistx]],
  [step.leb, [form.gnuAddrIndex, form.gnuStrIndex]],
  [step.string, [form.string]],
  [step.block1, [form.block1]],
  [step.block2, [form.block2]],
  [step.block4, [form.block4]],
  [step.block, [form.block, form.exprloc]],
  [step.indirect, [form.indirect]],
  [elsewhere, [form.refSup4, form.refSup8, form.strpSup, form.gnuRefAlt, form.gnuStrpAlt]],
] as const) {
  for (const code of forms) {
    if (code >= gnuForms) gnuSizes[code - gnuForms] = size;
    else sizes[code] = size;
  }
}

/**
 * Bytes that a value of this form takes, or a negative number of `step`; less than those for forms that are unknown or lead
 * `elsewhere`.
 */
export function sizeOfForm(code: number, format: UnitFormat): number {
  const size = (code < gnuForms ? sizes[code] : gnuSizes[code - gnuForms]) ?? unknown;
  if (size > addressSized) return size;
  if (size === addressSized) return format.addressBytes;
  if (size === offsetSized) return format.offsetBytes;
  if (size === referenceSized) return format.version === 2 ? format.addressBytes : format.offsetBytes;
  return size;
}
