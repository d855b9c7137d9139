import type { DescEnum } from '@bufbuild/protobuf';

/** An enum value as one short word, lower case; a number that this program is too old for, as such. */
export function enumWord(schema: DescEnum, value: number): string {
  return schema.value[value]?.localName.toLowerCase() ?? `unknown (${value})`;
}
