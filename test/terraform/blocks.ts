/** One block of Terraform's language: `resource "google_storage_bucket" "evidence" { … }`. */
export interface Block {
  /** `resource`, `variable`, `node_config`, … */
  kind: string;
  labels: string[];
  /** What stands between its braces, without the indentation of its own level. */
  body: string;
}

const header = /^([a-z_]+)((?: "[^"]*")*) \{(\})?$/;

/**
 * The blocks at the outermost level of a text. It relies on hclfmt's form, which the test asserts first: a block begins and
 * ends in the first column, and all that is in it is indented by two.
 */
export function blocksOf(text: string): Block[] {
  const blocks: Block[] = [];
  let open: { kind: string; labels: string[]; lines: string[] } | undefined;
  for (const line of text.split('\n')) {
    if (open) {
      if (line === '}') {
        blocks.push({ kind: open.kind, labels: open.labels, body: open.lines.join('\n') });
        open = undefined;
      } else open.lines.push(line.replace(/^ {2}/, ''));
      continue;
    }
    const [, kind, labels = '', closed] = header.exec(line) ?? [];
    if (!kind) continue;
    const block = { kind, labels: [...labels.matchAll(/"([^"]*)"/g)].map((match) => match[1] ?? ''), lines: [] };
    if (closed) blocks.push({ kind, labels: block.labels, body: '' });
    else open = block;
  }
  return blocks;
}

/** The arguments at the outermost level of a body, by name, with their expressions as text (the first line of longer ones). */
export function argumentsOf(body: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of body.split('\n')) {
    const [, name, value] = /^([a-z_]+) += (.*)$/.exec(line) ?? [];
    if (name && value !== undefined) found.set(name, value);
  }
  return found;
}

/** The text without comments that take a whole line. */
export function withoutComments(text: string): string {
  return text.replace(/^\s*#.*$/gm, '');
}
