import { create, type JsonValue, toJson } from '@bufbuild/protobuf';
import { ListValueSchema } from '@bufbuild/protobuf/wkt';
import { Fault } from '@kcorder/proto/fault.ts';
import { type PluginResult, PluginState } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import { PodReferenceSchema } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { fetchAnalysis } from '../analysis/fetch.ts';
import { remarkOnPlugin, remarkOnPods } from '../analysis/remarks.ts';
import { endOf, resolveAnalysed } from '../analysis/target.ts';
import { exitCode } from '../exit-code.ts';
import { inTurn } from '../follow/pause.ts';
import { openRows, type RowPrinter } from '../output/rows.ts';
import { type PlacedTable, placedTable } from '../render/placed-rows.ts';
import type { Session } from '../session.ts';

/** The options of `kcorder get KIND CAPTURE`. */
export interface RowOptions {
  readonly pod?: { readonly namespace: string; readonly name: string };
  readonly container?: string;
  readonly pid?: number;
  readonly filter?: string;
  readonly sortBy?: string;
  readonly limit?: number;
  readonly unmask?: boolean;
}

const pageSize = 1_000;
/** The collector's word in the place of what may be a secret. */
const masked = '[masked]';
/** The file of the results may have to be made first. */
const deadlineMs = 120_000;

/** `kcorder get KIND CAPTURE|NODE`: the rows of one plugin, each with its pod. */
export async function getRows(session: Session, plugin: string, target: string, options: RowOptions): Promise<number> {
  const capture = await resolveAnalysed(session, target);
  const limit = options.limit ?? Number.POSITIVE_INFINITY;
  let first: PluginResult | undefined;
  let printer: (RowPrinter & { readonly table: PlacedTable }) | undefined;
  let printed = 0;
  let isMasked = false;
  for await (const page of pagesOf(session, capture.id, plugin, options)) {
    if (first === undefined && page.state === PluginState.ROWS) printer = open(session, page);
    first ??= page;
    for (const row of page.rows.slice(0, limit - printed)) {
      const cells = toJson(ListValueSchema, row) as JsonValue[];
      printer?.print(cells, printer.table.row(cells));
      printed += 1;
      isMasked ||= cells.some((cell) => typeof cell === 'string' && cell.includes(masked));
    }
    if (printed >= limit) break;
  }
  if (first === undefined) throw new Fault('internal', 'the collector answered without a plugin. Report it');
  // A document is whole, also without a row.
  (printer ?? open(session, first)).end();
  const good = remarkOnPlugin(session, first) && (printed > 0 || (await isThere(session, capture.id, options.pod)));
  if (isMasked && options.unmask !== true)
    session.note(`${masked} stands for what may be a secret. --unmask shows it to analysts, and is in the audit log.`);
  if (good && printed === 0) session.note(`No such rows of plugin ${first.name} in capture ${capture.id}.`);
  const end = endOf(session, capture);
  return good ? end : exitCode.failure;
}

/** Returns false, and says so, for a pod that the image has no trace of: its name may be misspelled. */
async function isThere(session: Session, captureId: string, pod: RowOptions['pod']): Promise<boolean> {
  if (pod === undefined) return true;
  return remarkOnPods(session, await fetchAnalysis(session, captureId), [create(PodReferenceSchema, pod)]);
}

function open(session: Session, { columns }: PluginResult): RowPrinter & { readonly table: PlacedTable } {
  const table = placedTable(columns, session.output === 'wide');
  return { ...openRows(session, columns, table.titles), table };
}

async function* pagesOf(
  session: Session,
  captureId: string,
  plugin: string,
  { pod, container = '', pid, filter = '', sortBy = '', limit = pageSize, unmask = false }: RowOptions,
): AsyncGenerator<PluginResult, void, undefined> {
  const signal = session.terminal.interrupt;
  const asked = {
    ...{ captureId, plugin, filter, container, orderBy: sortBy, unmask, pageSize: Math.min(limit, pageSize) },
    ...(pod && { podNamespace: pod.namespace, podName: pod.name }),
    ...(pid !== undefined && { pid }),
  };
  let pageToken = '';
  do {
    const request = { ...asked, pageToken };
    const page = await inTurn(() => session.results.listRows(request, { signal, deadlineMs }), signal);
    if (page.plugin !== undefined) yield page.plugin;
    if (page.nextPageToken === pageToken) return;
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
}
