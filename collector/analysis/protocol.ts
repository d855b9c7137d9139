import * as v from 'valibot';
import { confinementLevels, pluginStates } from './analysis.ts';
import type { AnalysisLimits } from './limits.ts';
import type { RunnerPlugin } from './plugins.ts';

/** What the runner gets first on its stdin, one line of JSON; from then on it can wait for an image. */
export interface RunnerPreparation {
  readonly isfPath: string;
  readonly isfSha256: string;
  /** Names of plugins that it may be told to run. */
  readonly plugins: readonly string[];
  readonly limits: Pick<AnalysisLimits, 'memoryBytes' | 'fileBytes'>;
  /** A private directory, removed after the run. */
  readonly cacheDir: string;
  /** The image, or the directory of all images. */
  readonly images: string;
  /** True: it ends before it reads an image, unless its confinement is full. */
  readonly mustBeConfined: boolean;
  /** False: without accelerations.py. */
  readonly accelerated: boolean;
}

/** What it gets next, on another line. */
export interface RunnerJob {
  /** A file, or sockets on which its workers ask for ranges, see range-server.ts. */
  readonly image:
    | { readonly kind: 'lime'; readonly path: string }
    | { readonly kind: 'ranges'; readonly sizeBytes: number };
  /** As the node told them; null when it told none. */
  readonly kernel: { readonly banner: string | null; readonly buildId: string | null; readonly vmcoreinfo: string };
}

/** What a worker gets in its slot, one line after the other; `turn` counts the workers that the slot has had. */
export interface Dispatch {
  readonly turn: number;
  readonly plugin: RunnerPlugin;
}

/** A cell of a row. */
export type Cell = string | number | boolean | null;

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
const misfit = 'the runner printed rows that do not fit their columns';

const isText = (value: unknown): value is string => typeof value === 'string';

const textOf = (maxLength: number) =>
  v.pipe(
    v.string(),
    v.transform((value) => cutText(value, maxLength)),
  );
const text = textOf(maxTextLength);
/** A list is checked in one step: what a hostile runner prints may have a million texts. */
const textsOf = (maxLength: number) =>
  v.pipe(
    v.custom<readonly string[]>((value) => Array.isArray(value) && value.every(isText)),
    v.transform((values) => values.map((value) => cutText(value, maxLength))),
  );
const duration = v.pipe(v.number(), v.finite(), v.minValue(0));
const count = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(maxCount));
const flag = v.pipe(
  v.optional(v.unknown(), false),
  v.transform((value) => value === true),
);

const confined = v.object({
  type: v.literal('confined'),
  level: v.picklist(confinementLevels),
  landlockAbi: count,
  seccomp: flag,
});

const kernel = v.object({
  type: v.literal('kernel'),
  imageBanner: text,
  /** Undefined for what is none. */
  imageBuildId: v.pipe(
    v.optional(v.unknown()),
    v.transform((value) => (isText(value) && /^[0-9a-f]{8,64}$/.test(value) ? value : undefined)),
  ),
  pagingLevels: count,
  kernelOffset: text,
  dtb: text,
  kernelMismatch: flag,
});

/** Those of fatal.py. Others are our own, such as that somebody has canceled the analysis, of which nobody is told. */
export const fatalReasons = [
  ...['job_rejected', 'unconfined', 'kernel_unknown', 'symbols_rejected', 'symbols_mismatch'],
  ...['image_rejected', 'image_unreadable', 'out_of_memory', 'crashed'],
];
const fatal = v.object({ type: v.literal('fatal'), reason: v.picklist(fatalReasons), detail: text });

const started = v.pipe(
  v.object({ type: v.literal('plugin'), plugin: text, state: v.literal('started') }),
  v.transform(({ plugin }) => ({ type: 'started' as const, plugin })),
);

const ended = v.pipe(
  v.object({
    type: v.literal('plugin'),
    plugin: text,
    state: v.picklist(pluginStates),
    rows: count,
    seconds: duration,
    reason: v.optional(text, ''),
    warnings: v.optional(textsOf(maxTextLength), []),
  }),
  v.transform(({ rows: rowCount, ...same }) => ({ ...same, type: 'ended' as const, rowCount })),
);

/** Cells are checked by hand: there are millions, and a schema for each takes twenty times as long. */
const rows = v.pipe(
  v.object({
    type: v.literal('rows'),
    columns: v.pipe(
      textsOf(maxNameLength),
      v.check(
        ({ length }) => length > 0 && length <= maxColumns,
        ({ input }) => `the runner printed rows of ${input.length} columns`,
      ),
    ),
    rows: v.custom<readonly (readonly Cell[])[]>(areRows),
    plugin: text,
  }),
  v.check((line) => line.rows.every((row) => row.length === line.columns.length), misfit),
);

/** The parent has prepared what can be without an image. */
const ready = v.object({ type: v.literal('ready') });

const worker = v.object({ type: v.literal('worker'), slot: count, pid: v.pipe(count, v.minValue(2)) });

/** How a worker ended, told by the parent in its slot. */
const died = v.pipe(
  v.object({
    type: v.literal('died'),
    signal: v.optional(v.pipe(v.string(), v.regex(/^SIG[A-Z0-9]{1,12}$/))),
    exit: v.optional(count, 0),
  }),
  v.transform(({ type, signal, exit }) => ({ type, how: signal === undefined ? `exit ${exit}` : `signal ${signal}` })),
);

const done = v.object({
  type: v.literal('done'),
  versions: v.pipe(v.optional(v.unknown(), {}), v.transform(versionsOf)),
});

const lineSchemas = {
  confined,
  kernel,
  fatal,
  plugin: v.variant('state', [started, ended]),
  rows,
  ready,
  worker,
  died,
  done,
};
const isKnown = (type: unknown): type is keyof typeof lineSchemas => isText(type) && Object.hasOwn(lineSchemas, type);

/** One line of the runner. */
export type RunnerLine = v.InferOutput<(typeof lineSchemas)[keyof typeof lineSchemas]>;

/** Reads one line. Throws ProtocolError for anything that is not one of the runner's lines. */
export function parseLine(line: Buffer): RunnerLine {
  const fields = parseObject(line);
  const { type } = fields;
  if (!isKnown(type)) throw new ProtocolError(`the runner printed a line of unknown type ${typeNameOf(type)}`);
  const read = v.safeParse(lineSchemas[type], fields, { abortEarly: true, message: '' });
  if (read.success) return read.output;
  const [{ message, path }] = read.issues;
  throw new ProtocolError(message || sentenceOf(type, String(path?.[0].key), fields));
}

/** What is wrong with a line, by the first of its keys that is. */
function sentenceOf(type: string, key: string, { plugin }: Readonly<Record<string, unknown>>): string {
  switch (`${type}.${key}`) {
    case 'confined.level':
      return 'the runner told an unknown level of confinement';
    case 'plugin.state':
      return `the runner ended plugin ${typeNameOf(plugin)} in an unknown state`;
    case 'rows.rows':
      return misfit;
    default:
      return `the runner printed a "${type}" line without ${key}, or with an impossible one`;
  }
}

function areRows(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length <= maxRowsOfALine &&
    value.every((row) => Array.isArray(row) && row.every(isCell))
  );
}

/** True for what a cell may be: a value that holds no other. */
export function isCell(value: unknown): value is Cell {
  return value === null || typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);
}

/** Of what a line may hold: rows of cells, within the line. */
const maxDepth = 3;

/** Returns true if values lie deeper in each other than in any line: parsing a megabyte of brackets takes a second. */
function isTooDeep(line: Buffer): boolean {
  let [depth, isInText] = [0, false];
  for (let at = 0; at < line.length; at += 1) {
    const byte = line[at];
    if (isInText && byte === 0x5c) at += 1;
    else if (byte === 0x22) isInText = !isInText;
    else if (isInText) continue;
    else if (byte === 0x5b || byte === 0x7b) depth += 1;
    else if (byte === 0x5d || byte === 0x7d) depth -= 1;
    if (depth > maxDepth) return true;
  }
  return false;
}

function parseObject(line: Buffer): Record<string, unknown> {
  if (isTooDeep(line)) throw new ProtocolError('the runner printed a line of values within values that no line has');
  try {
    const value: unknown = JSON.parse(line.toString('utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // Falls through to the one error.
  }
  throw new ProtocolError(`the runner printed a line that is no JSON object: ${line.toString('latin1', 0, 80)}`);
}

function versionsOf(value: unknown): Record<string, string> {
  if (typeof value !== 'object' || value === null) return {};
  const told = Object.entries(value).slice(0, maxVersions);
  return Object.fromEntries(
    told.flatMap(([name, version]) =>
      isText(version) ? [[cutText(name, maxNameLength), cutText(version, maxNameLength)]] : [],
    ),
  );
}

/** The beginning of a text as well-formed Unicode: cutting can split a character, which no message of the contract takes. */
export function cutText(value: string, maxLength: number): string {
  return value.slice(0, maxLength).toWellFormed();
}

function typeNameOf(type: unknown): string {
  return isText(type) ? `"${cutText(type, 80)}"` : `(${typeof type})`;
}
