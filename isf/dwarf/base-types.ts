import type { BaseType } from '../base-type.ts';
import { tag } from './codes.ts';
import type { TypeNode, TypeNodes } from './type-node.ts';
import { baseName, encoding } from './type-text.ts';

/** A base type that a file describes. */
export interface DescribedBase extends BaseType {
  /** Whether an enumeration can be made of it. */
  readonly isInteger: boolean;
  /** Where it is described first. */
  readonly offset: number;
}

/** The base types at these offsets, the first of each name, and the pointer, for which Volatility wants one too. Throws BadInput. */
export function readBaseTypes(nodes: TypeNodes, offsets: readonly number[], pointer: number): readonly DescribedBase[] {
  const byName = new Map<string, DescribedBase>();
  for (const offset of offsets) {
    const node = nodes.at(offset);
    const kind = kindOf(node);
    const name = baseName(node);
    if (kind && !byName.has(name))
      byName.set(name, { name, sizeBytes: node.byteSize ?? -1, ...kind, isInteger: isInteger(node), offset });
  }
  const node = pointer === 0 ? undefined : nodes.at(pointer);
  if (node?.tag === tag.pointerType && !byName.has('pointer')) {
    const sizeBytes = node.byteSize ?? node.addressBytes;
    byName.set('pointer', {
      name: 'pointer',
      sizeBytes,
      signed: false,
      kind: 'int',
      isInteger: false,
      offset: pointer,
    });
  }
  return [{ name: 'void', sizeBytes: 0, signed: false, kind: 'void', isInteger: false, offset: 0 }, ...byName.values()];
}

function isInteger(node: TypeNode): boolean {
  const code = node.encoding ?? 0;
  return code >= encoding.signed && code <= encoding.unsignedChar;
}

/** As dwarf2json has it: _Bool, floating-point and complex types are "signed". */
function kindOf(node: TypeNode): Pick<BaseType, 'kind' | 'signed'> | undefined {
  switch (node.encoding) {
    case encoding.unsigned:
      return { kind: 'int', signed: false };
    case encoding.unsignedChar:
    case encoding.utf:
      return { kind: 'char', signed: false };
    case encoding.signedChar:
      return { kind: 'char', signed: true };
    case encoding.boolean:
      return { kind: 'bool', signed: true };
    case encoding.float:
      return { kind: 'float', signed: true };
    case encoding.address:
    case encoding.signed:
    case encoding.complexFloat:
      return { kind: 'int', signed: true };
    default:
      return undefined;
  }
}
