/**
 * Characters that a terminal obeys, that have no shape of their own, or that make text look like other text: controls (C0, C1, DEL),
 * formats (bidi overrides, zero width, tags), line separators, every space but the plain one, lone surrogates, private and unassigned.
 */
const unseen = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{DI}\u2800]|(?! )\p{Zs}/gu;

/** Marks without a letter under them, or piled up: they would be drawn over other cells and lines. */
const strayMark = /(?<=^|\p{M}\p{M})\p{M}/gu;

const short: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Text from a node or a collector, safe to show: what is unseen becomes `\x1b`, `\u202e` or `\u{e0041}`. One line stays one line. */
export function visible(text: string): string {
  return text.replace(strayMark, escaped).replace(unseen, (character) => short[character] ?? escaped(character));
}

/** The same for text that is already valid JSON: what is left unescaped by JSON's own rules becomes `\uXXXX`. Line ends stay. */
export function visibleJson(json: string): string {
  return json.replace(unseen, (character) => (character === '\n' ? character : utf16Escapes(character)));
}

/** Whether a text holds anything that must not be shown as it is. */
export function hasUnseen(text: string): boolean {
  return text.search(unseen) >= 0;
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  if (code < 0x100) return `\\x${hex.padStart(2, '0')}`;
  return code < 0x1_0000 ? `\\u${hex.padStart(4, '0')}` : `\\u{${hex}}`;
}

function utf16Escapes(character: string): string {
  let escapes = '';
  for (let at = 0; at < character.length; at += 1) {
    escapes += `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`;
  }
  return escapes;
}
