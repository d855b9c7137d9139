/** The assignments of an os-release file (os-release(5)), quotes removed. */
function parseOsRelease(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const entry of text.split('\n')) {
    const match = /^([A-Z][A-Z0-9_]*)=(.*)$/.exec(entry.trim());
    if (match?.[1] === undefined || match[2] === undefined) continue;
    fields.set(match[1], match[2].replace(/^(["'])(.*)\1$/, '$2'));
  }
  return fields;
}

/** BUILD_ID of a Container-Optimized OS image; empty elsewhere, where the field means something else. */
export function cosBuildId(text: string): string {
  const fields = parseOsRelease(text);
  return fields.get('ID') === 'cos' ? (fields.get('BUILD_ID') ?? '') : '';
}
