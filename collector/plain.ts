/** Characters without a shape of their own, or that make text look like other text. */
const unseen = /[\p{C}\p{Zl}\p{Zp}\p{DI}\u2800]|(?! )\p{Zs}/gu;

/** Marks without a letter under them, or piled up: they would be drawn over other lines. */
const strayMark = /(?<=^|\p{M}\p{M})\p{M}/gu;

/** Text of foreign making as one plain line of at most `limit` UTF-16 units; a cut is marked by an ellipsis. */
export function plain(text: string, limit: number): string {
  return cut(text.replace(strayMark, '\ufffd').replace(unseen, '\ufffd'), limit);
}

/** At most `limit` UTF-16 units, never half of a character. */
export function cut(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const end = limit - 1;
  const whole = /[\ud800-\udbff]/.test(text.charAt(end - 1)) ? end - 1 : end;
  return `${text.slice(0, whole)}…`;
}
