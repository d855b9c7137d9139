/** An entry of an ISF's base_types. */
export interface BaseType {
  readonly name: string;
  readonly sizeBytes: number;
  readonly signed: boolean;
  readonly kind: 'void' | 'int' | 'char' | 'bool' | 'float';
}

/** JSON text of a base type. */
export function baseText({ sizeBytes, signed, kind }: BaseType): string {
  return `{"size":${sizeBytes},"signed":${signed},"kind":"${kind}","endian":"little"}`;
}
