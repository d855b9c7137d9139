/** JSON for the journal: bigints become {"$bigint": "…"} and come back as bigints. */
export function encode(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'bigint' ? { $bigint: item.toString() } : item,
  );
}

/** The value that `encode` wrote. The journal is ours alone, so its shape is trusted. */
export function decode<T>(text: string): T {
  return JSON.parse(text, (_key, item: unknown) =>
    item !== null && typeof item === 'object' && '$bigint' in item ? BigInt(String(item.$bigint)) : item,
  ) as T;
}
