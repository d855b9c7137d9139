import { type JsonValue, toJson } from '@bufbuild/protobuf';
import { ListValueSchema } from '@bufbuild/protobuf/wkt';
import { Fault } from '@kcorder/proto/fault.ts';
import { type PluginResult, PluginState } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import { AnalysisState, type AnalysisStatus } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { pluginOf } from '@kcorder/proto/results/kinds.ts';
import { remarkOnPlugin } from '../analysis/remarks.ts';
import { resolveId } from '../calls/resolve-capture.ts';
import { exitCode } from '../exit-code.ts';
import { spokenByCollector } from '../failure.ts';
import { deadlineSignal, pause, pauseMs, worthAnotherTry } from '../follow/pause.ts';
import { leavable } from '../follow/stream.ts';
import { openRows, type RowPrinter } from '../output/rows.ts';
import { durationText } from '../program/duration.ts';
import { analysisWord, because } from '../render/capture-words.ts';
import { type PlacedTable, placedTable } from '../render/placed-rows.ts';
import { hasPluginEnded, rowsText } from '../render/plugin-progress.ts';
import type { Session } from '../session.ts';
import { getRows } from './get-rows.ts';

/** The options of `kcorder watch CAPTURE --plugin`. */
export interface WatchRowsOptions {
  readonly timeoutMs: number;
  readonly unmask: boolean;
}

/** `kcorder watch CAPTURE|NODE --plugin NAME`: prints the rows of one plugin as it finds them, or has found them. */
export async function watchRows(
  session: Session,
  target: string,
  word: string,
  { timeoutMs, unmask }: WatchRowsOptions,
): Promise<number> {
  const captureId = await resolveId(session, target);
  const plugin = pluginOf(word);
  const late = `the rows of ${plugin} were not all there within ${durationText(timeoutMs)}`;
  const signal = deadlineSignal(session.terminal.interrupt, timeoutMs, late);
  const rows = new PrintedRows(session, plugin);
  for (let failures = 1; ; failures += 1) {
    let status: AnalysisStatus | undefined;
    let fault = new Fault('unavailable', 'the collector ended the stream before the analysis had ended');
    try {
      const stream = leavable(
        (own) => session.results.watchAnalysis({ captureId, plugin, unmask }, { signal: own }),
        signal,
      );
      for await (const message of stream) {
        status = message.analysis ?? status;
        if (message.analysis?.state === AnalysisState.PENDING)
          session.note(`The analysis of capture ${captureId} has not begun: waiting for it.`);
        if (message.rows !== undefined) rows.print(message.rows);
        const own = message.plugins.find(({ name }) => name === plugin);
        if (own !== undefined && hasPluginEnded(own)) return rows.conclude(own);
      }
      if (status?.state === AnalysisState.DONE && rows.count === 0)
        return await getRows(session, plugin, captureId, { unmask });
      if (status?.state === AnalysisState.FAILED || status?.state === AnalysisState.SKIPPED)
        throw withoutRows(captureId, plugin, status);
    } catch (error) {
      signal.throwIfAborted();
      fault = Fault.from(error);
      // A stream that broke may have its place still; else somebody watches elsewhere.
      const failed = status === undefined ? failures : 0;
      if (!worthAnotherTry(fault, failed) || (failures === 1 && fault.code === 'resource_exhausted')) throw fault;
    }
    // Another stream begins with the first row again.
    if (rows.count > 0) throw brokenOff(captureId, plugin, rows.count, fault);
    const why = spokenByCollector(fault) ? fault.message : 'the connection to the collector broke';
    session.warn(`${why}; trying again`);
    await pause(pauseMs(failures, fault), signal);
  }
}

/** What was printed of a plugin that runs. */
class PrintedRows {
  readonly #session: Session;
  readonly #plugin: string;
  #printer: (RowPrinter & { readonly table: PlacedTable }) | undefined;
  count = 0;

  constructor(session: Session, plugin: string) {
    this.#session = session;
    this.#plugin = plugin;
  }

  print({ columns, rows }: PluginResult): void {
    this.#printer ??= this.#open(columns);
    for (const row of rows) {
      const cells = toJson(ListValueSchema, row) as JsonValue[];
      this.#printer.print(cells, this.#printer.table.row(cells));
    }
    this.#printer.flush();
    this.count += rows.length;
  }

  /** Says how the plugin ended, and returns the exit code. */
  conclude(ended: PluginResult): number {
    // A document is whole, also without a row.
    (this.#printer ?? this.#open(ended.columns)).end();
    if (ended.state === PluginState.FAILED && this.count > 0)
      this.#session.warn(
        `${this.#plugin} has failed: the ${rowsText(this.count)} above are withdrawn, as more may be missing`,
      );
    const good = remarkOnPlugin(this.#session, ended);
    if (good && this.count === 0) this.#session.note(`${this.#plugin} found nothing.`);
    return good ? exitCode.ok : exitCode.failure;
  }

  #open(columns: readonly string[]): RowPrinter & { readonly table: PlacedTable } {
    const table = placedTable(columns, this.#session.output === 'wide');
    return { ...openRows(this.#session, columns, table.titles), table };
  }
}

function withoutRows(captureId: string, plugin: string, status: AnalysisStatus): Fault {
  const why = because(status) || 'no reason given';
  return new Fault(
    'evidence_missing',
    `no rows of ${plugin}: the analysis of capture ${captureId} is ${analysisWord(status)}: ${why}`,
  );
}

function brokenOff(captureId: string, plugin: string, count: number, cause: Fault): Fault {
  return new Fault(
    cause.code,
    `the stream of rows of ${plugin} broke after ${rowsText(count)}: ${cause.message}. Run the command again, which begins with the first row; \`kcorder watch ${captureId}\` shows how far the analysis is`,
    { cause },
  );
}
