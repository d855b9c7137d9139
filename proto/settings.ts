import * as v from 'valibot';

/** Environment variables by name; undefined: not set. */
export type Environment = Readonly<Record<string, string | undefined>>;

export type Unit = 'bytes' | 'seconds' | 'days';

/** The description of a setting, for its errors and its documentation. */
export interface SettingRow {
  /** Name of the environment variable. */
  readonly name: string;
  /** Text that stands for a variable that is not set; undefined: none. */
  readonly fallback: string | undefined;
  readonly unit: Unit | undefined;
  /** The schema refuses the fallback: a value has to be set. */
  readonly isRequired: boolean;
  /** One line of Markdown. */
  readonly says: string;
}

interface SettingSchema extends v.GenericSchema<string | undefined, unknown> {
  readonly row: SettingRow;
}

/** Settings by their fields, in groups: what `v.object` makes of `setting`s and other groups. */
export interface Settings {
  readonly entries: { readonly [field: string]: SettingSchema | Settings };
}

/** An error of one setting. */
export interface SettingProblem {
  readonly name: string;
  /** Text of the variable, or its default. */
  readonly value: string;
  readonly what: string;
}

export type SettingsReading<Values> = { readonly problems: readonly SettingProblem[]; readonly values?: Values };

/** A row: the variable, the schema that reads its text, the text by default, and one line of documentation. */
export function setting<S extends v.GenericSchema<string, unknown>, const F extends string | undefined>(
  name: `KCORDER_${string}`,
  schema: S & { readonly unit?: Unit },
  fallback: F,
  says: string,
) {
  const isRequired = fallback !== undefined && !v.is(schema, fallback);
  return Object.assign(v.optional<S, F>(schema, fallback), {
    row: { name, fallback, unit: schema.unit, isRequired, says },
  });
}

/** The schema of a quantity, which its row shows with its unit. */
export const inUnit = <S extends v.GenericSchema>(unit: Unit, schema: S) => Object.assign({ ...schema }, { unit });

/** All rows in their order. */
export function rowsOf(settings: Settings): SettingRow[] {
  return Object.values(settings.entries).flatMap((entry) => ('row' in entry ? [entry.row] : rowsOf(entry)));
}

/** Returns the values of all settings, typed by the schema, or the problems of all, worded by the schema's messages. */
export function readSettings<S extends v.GenericSchema & Settings>(
  settings: S,
  environment: Environment,
): SettingsReading<v.InferOutput<S>> {
  const read = v.safeParse(settings, textsOf(settings, environment));
  if (read.success) return { problems: [], values: read.output };
  const problems = read.issues.map((issue) => {
    const row = rowAt(settings, v.getDotPath(issue)?.split('.') ?? []);
    return { name: row.name, value: textOf(row, environment), what: issue.message };
  });
  return { problems };
}

/** What Kubernetes puts into every container about a Service whose name begins with kcorder. */
const serviceLink = /_SERVICE_(HOST|PORT)|_PORT(_\d+_|$)/;

/** The variables that look like settings and are none. */
export function unknownSettings(settings: Settings, environment: Environment): string[] {
  const known = new Set(rowsOf(settings).map(({ name }) => name));
  return Object.keys(environment).filter(
    (name) => name.startsWith('KCORDER_') && !known.has(name) && !serviceLink.test(name),
  );
}

/** The environment without empty variables, where these count as not set. */
export const withoutEmpty = (environment: Environment): Environment =>
  Object.fromEntries(Object.entries(environment).filter(([, text]) => text !== ''));

/** Names that pino has for its levels. */
export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** The text that a setting is read from; empty: there is none. */
export const textOf = ({ name, fallback }: SettingRow, environment: Environment): string =>
  environment[name] ?? fallback ?? '';

function textsOf({ entries }: Settings, environment: Environment): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(entries).map(([field, entry]) => [
      field,
      'row' in entry ? environment[entry.row.name] : textsOf(entry, environment),
    ]),
  );
}

function rowAt(settings: Settings, [field = '', ...rest]: readonly string[]): SettingRow {
  const entry = settings.entries[field];
  if (entry === undefined) throw new TypeError(`no setting has the field ${field}`);
  return 'row' in entry ? entry.row : rowAt(entry, rest);
}
