/** Codes and names of an error and of its causes, outermost first. */
export function causeCodes(error: unknown): string[] {
  return chainOf(error).flatMap((link) => ['code' in link ? String(link.code) : '', link.name]);
}

/** The innermost sentence of an error, on one line. */
export function causeText(error: unknown): string {
  const texts = chainOf(error)
    .map(({ message }) => message.trim())
    .filter((text) => text !== '');
  return (texts.at(-1) ?? String(error)).replace(/\s*\n\s*/g, '; ');
}

/** An AggregateError says less than the errors that it holds; the first of them stands for all. */
function chainOf(error: unknown): Error[] {
  const chain: Error[] = [];
  for (let link = error; link instanceof Error && chain.length < 8; ) {
    chain.push(link);
    link = link instanceof AggregateError ? link.errors[0] : link.cause;
  }
  return chain;
}
