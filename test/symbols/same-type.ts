import { isDeepStrictEqual } from 'node:util';

/** A type as BTF and DWARF both have it: unnamed ones are named by other texts, and pg_data_t is struct pglist_data. */
const comparable = (type: unknown): object =>
  JSON.parse(
    JSON.stringify(type ?? {})
      .replace(/unnamed_[0-9a-f]+/g, 'unnamed')
      .replace('pg_data_t', 'pglist_data'),
  );

/** Returns whether a variable's type from BTF is that from DWARF; a row of the table that says `[0]` leaves the length open. */
export function isSameType(row: unknown, type: unknown): boolean {
  const [a, b] = [comparable(row), comparable(type)];
  return isDeepStrictEqual('count' in a && a.count === 0 ? { ...b, count: 0 } : b, a);
}
