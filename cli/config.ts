/** What the environment says about a run of the command line. */
export interface Environment {
  /** host:port of the collector. */
  readonly collector: string | undefined;
  /** Directory with ca.crt, tls.crt and tls.key. */
  readonly tlsDir: string | undefined;
  readonly color: boolean;
  /** Width of the terminal in columns, where the shell told it. */
  readonly columns: number | undefined;
}

/** Reads the environment; an empty variable counts as not set. */
export function readEnvironment(variables: Readonly<Record<string, string | undefined>> = process.env): Environment {
  const columns = Number(variables.COLUMNS);
  return {
    collector: variables.KCORDER_COLLECTOR || undefined,
    tlsDir: variables.KCORDER_TLS_DIR || undefined,
    color: !variables.NO_COLOR && variables.TERM !== 'dumb',
    columns: Number.isInteger(columns) && columns > 0 ? columns : undefined,
  };
}
