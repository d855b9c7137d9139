export type Source =
  | 'Debian packages'
  | 'crates registry'
  | 'npm'
  | 'PyPI'
  | 'Go modules'
  | 'this machine'
  | 'this checkout';

/** Set-up could not go on: `what` is the object, `source` the kind of place it comes from, `todo` what the reader can do. */
export class SetupFailure extends Error {
  override readonly name = 'SetupFailure';
  readonly source: Source;

  constructor(what: string, source: Source, todo: string, cause?: unknown) {
    super(`${what} (from: ${source}). ${todo}`, cause === undefined ? undefined : { cause });
    this.source = source;
  }
}

/** The message with its causes, one a line, for a person. */
export function explain(error: unknown): string {
  const lines: string[] = [];
  for (let at: unknown = error; at !== undefined; at = at instanceof Error ? at.cause : undefined) {
    lines.push(at instanceof Error ? at.message : String(at));
  }
  return lines.join('\n  because: ');
}
