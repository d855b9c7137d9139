import type { Confined } from './analysis.ts';
import type { AnalysisLimits } from './limits.ts';
import type { RunnerPlugin } from './plugins.ts';

/** What the runner gets on its stdin. */
export interface RunnerJob {
  /** Its file descriptor 3 is the file (`lime`), or a socket on which it asks for ranges, see range-server.ts. */
  readonly image: { readonly kind: 'lime' } | { readonly kind: 'ranges'; readonly sizeBytes: number };
  readonly isfPath: string;
  readonly isfSha256: string;
  /** As the node told them; null when it told none. */
  readonly kernel: { readonly banner: string | null; readonly buildId: string | null; readonly vmcoreinfo: string };
  readonly plugins: readonly RunnerPlugin[];
  readonly limits: Pick<AnalysisLimits, 'memoryBytes' | 'fileBytes'>;
  /** A private directory, removed after the run. */
  readonly cacheDir: string;
  /** True: it ends before it reads the image, unless its confinement is full. */
  readonly mustBeConfined: boolean;
}

/** A cell of a row. */
export type Cell = string | number | boolean | null;

/** One line of the runner. */
export type RunnerLine =
  | ({ readonly type: 'confined' } & Confined)
  | {
      readonly type: 'kernel';
      readonly imageBanner: string;
      readonly imageBuildId?: string;
      readonly pagingLevels: number;
      readonly kernelOffset: string;
      readonly dtb: string;
      readonly kernelMismatch: boolean;
    }
  | { readonly type: 'fatal'; readonly reason: string; readonly detail: string }
  | { readonly type: 'started'; readonly plugin: string }
  | {
      readonly type: 'rows';
      readonly plugin: string;
      readonly columns: readonly string[];
      readonly rows: readonly (readonly Cell[])[];
    }
  | {
      readonly type: 'ended';
      readonly plugin: string;
      readonly state: 'rows' | 'empty' | 'failed';
      readonly rowCount: number;
      readonly seconds: number;
      readonly reason: string;
      readonly warnings: readonly string[];
    }
  | { readonly type: 'done'; readonly versions: Readonly<Record<string, string>> };

/** A line or an order of lines that the protocol does not have. */
export class ProtocolError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ProtocolError';
  }
}

const maxTextLength = 4096;
const maxNameLength = 128;
const maxVersions = 16;
const maxColumns = 256;
/** An honest runner prints 500 at once. */
const maxRowsOfALine = 1_000;
const maxCount = 2 ** 32 - 1;

type Fields = Readonly<Record<string, unknown>>;

/** Reads one line. Throws ProtocolError for anything that is not one of the runner's lines. */
export function parseLine(line: Buffer): RunnerLine {
  const fields = parseObject(line);
  switch (fields.type) {
    case 'confined':
      return { type: 'confined', ...parseConfined(fields) };
    case 'kernel':
      return {
        type: 'kernel',
        imageBanner: text(fields, 'imageBanner'),
        ...(isBuildId(fields.imageBuildId) ? { imageBuildId: fields.imageBuildId } : {}),
        pagingLevels: count(fields, 'pagingLevels'),
        kernelOffset: text(fields, 'kernelOffset'),
        dtb: text(fields, 'dtb'),
        kernelMismatch: fields.kernelMismatch === true,
      };
    case 'fatal':
      return { type: 'fatal', reason: text(fields, 'reason'), detail: text(fields, 'detail') };
    case 'plugin':
      return parsePlugin(fields);
    case 'rows':
      return parseRows(fields);
    case 'done':
      return { type: 'done', versions: parseVersions(fields.versions) };
    default:
      throw new ProtocolError(`the runner printed a line of unknown type ${typeNameOf(fields.type)}`);
  }
}

function parseConfined(fields: Fields): Confined {
  const { level, seccomp } = fields;
  if (level !== 'full' && level !== 'partial' && level !== 'none')
    throw new ProtocolError('the runner told an unknown level of confinement');
  return { level, landlockAbi: count(fields, 'landlockAbi'), seccomp: seccomp === true };
}

function isBuildId(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{8,64}$/.test(value);
}

function parsePlugin(fields: Fields): RunnerLine {
  const plugin = text(fields, 'plugin');
  const state = fields.state;
  if (state === 'started') return { type: 'started', plugin };
  if (state !== 'rows' && state !== 'empty' && state !== 'failed') {
    throw new ProtocolError(`the runner ended plugin ${plugin} in an unknown state`);
  }
  return {
    type: 'ended',
    plugin,
    state,
    rowCount: count(fields, 'rows'),
    seconds: duration(fields, 'seconds'),
    reason: fields.reason === undefined ? '' : text(fields, 'reason'),
    warnings: fields.warnings === undefined ? [] : texts(fields, 'warnings', maxTextLength),
  };
}

function parseRows(fields: Fields): RunnerLine {
  const columns = texts(fields, 'columns', maxNameLength);
  if (columns.length === 0 || columns.length > maxColumns)
    throw new ProtocolError(`the runner printed rows of ${columns.length} columns`);
  const rows: unknown = fields.rows;
  const fits = (row: unknown): row is Cell[] =>
    Array.isArray(row) && row.length === columns.length && row.every(isCell);
  if (!Array.isArray(rows) || rows.length > maxRowsOfALine || !rows.every(fits)) {
    throw new ProtocolError('the runner printed rows that do not fit their columns');
  }
  return { type: 'rows', plugin: text(fields, 'plugin'), columns, rows };
}

/** True for what a cell may be: a value that holds no other. */
export function isCell(value: unknown): value is Cell {
  return value === null || typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);
}

function parseObject(line: Buffer): Fields {
  try {
    const value: unknown = JSON.parse(line.toString('utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // Falls through to the one error.
  }
  throw new ProtocolError(`the runner printed a line that is no JSON object: ${line.toString('latin1', 0, 80)}`);
}

function parseVersions(value: unknown): Record<string, string> {
  if (typeof value !== 'object' || value === null) return {};
  const told = Object.entries(value).slice(0, maxVersions);
  return Object.fromEntries(
    told.flatMap(([name, version]) =>
      typeof version === 'string' ? [[cutText(name, maxNameLength), cutText(version, maxNameLength)]] : [],
    ),
  );
}

/** The beginning of a text as well-formed Unicode: cutting can split a character, which no message of the contract takes. */
export function cutText(value: string, maxLength: number): string {
  return value.slice(0, maxLength).toWellFormed();
}

function typeNameOf(type: unknown): string {
  return typeof type === 'string' ? `"${cutText(type, 80)}"` : `(${typeof type})`;
}

function text(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string') throw lacks(fields, name);
  return cutText(value, maxTextLength);
}

function texts(fields: Fields, name: string, maxLength: number): string[] {
  const value = fields[name];
  const areTexts = Array.isArray(value) && value.every((each) => typeof each === 'string');
  if (!areTexts) throw lacks(fields, name);
  return value.map((each) => cutText(each, maxLength));
}

function count(fields: Fields, name: string): number {
  const value = duration(fields, name);
  if (!Number.isInteger(value) || value > maxCount) throw lacks(fields, name);
  return value;
}

function duration(fields: Fields, name: string): number {
  const value = fields[name];
  if (typeof value !== 'number' || !(value >= 0 && value < Number.POSITIVE_INFINITY)) throw lacks(fields, name);
  return value;
}

function lacks(fields: Fields, name: string): ProtocolError {
  return new ProtocolError(
    `the runner printed a ${typeNameOf(fields.type)} line without ${name}, or with an impossible one`,
  );
}
