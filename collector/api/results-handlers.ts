import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { create, fromJson, type MessageInitShape } from '@bufbuild/protobuf';
import { ListValueSchema } from '@bufbuild/protobuf/wkt';
import type { CallContext, Handlers } from '@kcorder/proto/bridge/serve.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { PluginResultSchema } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import type {
  DownloadResultsRequest,
  DownloadResultsResponseSchema,
  ListRowsRequest,
  ResultsService,
} from '@kcorder/proto/gen/kcorder/v1/results_pb.ts';
import { pluginOf } from '@kcorder/proto/results/kinds.ts';
import { parseFilter, parseOrder } from '../analysis/index/filter.ts';
import type { RowPage, RowQuery } from '../analysis/index/query.ts';
import type { ResultsIndex } from '../analysis/index/results-index.ts';
import type { LiveAnalyses } from '../analysis/live.ts';
import { checkPlugin } from '../analysis/spec.ts';
import type { Images } from '../custody/images.ts';
import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import type { CaptureJournal } from '../journal/capture-journal.ts';
import type { Reanalyses } from '../journal/reanalyses.ts';
import { callerOf } from './gate.ts';
import { actorOf, payerOf } from './identity.ts';
import { Turns } from './one-at-a-time.ts';
import { Places, type PlacesOf } from './places.ts';
import { presentState } from './present-analysis.ts';
import { watchAnalysis } from './watch-analysis.ts';

/** The handlers of the results service. They know nothing of their transport but the context. */
export type ResultsHandlers = Handlers<typeof ResultsService>;

/** What the handlers reach. */
export interface ResultsDeps {
  readonly journal: Pick<CaptureJournal, 'get' | 'recordReading' | 'watch'>;
  readonly again: Pick<Reanalyses, 'get' | 'watch'>;
  readonly live: Pick<LiveAnalyses, 'of' | 'watch'>;
  readonly evidence: Pick<EvidenceDirectory, 'pathOf'>;
  readonly images: Pick<Images, 'lease' | 'checkKept'>;
  readonly results: Pick<ResultsIndex, 'page' | 'prepare' | 'prepareMissing'>;
}

const defaultPageSize = 100;
const largestPageSize = 1_000;
const chunkBytes = 256 << 10;
/** Each reads a file of up to a gigabyte twice. */
const downloads: PlacesOf = { refused: 'the results were not sent', doing: 'downloading results', most: 4 };
const watches: PlacesOf = { refused: 'the rows were not sent', doing: 'watching the rows of an analysis', most: 8 };

/** Makes the handlers. Who reads what is on record before it leaves. */
export function resultsHandlers(deps: ResultsDeps): ResultsHandlers {
  const turns = new Turns();
  const downloading = new Places(downloads);
  const watching = new Places(watches);
  return {
    listRows: (request, context) => listRows(deps, turns, request, context),
    downloadResults: (request, context) => downloadResults(deps, downloading, request, context),
    watchAnalysis: ({ captureId, plugin, unmask }, context) =>
      watchAnalysis(
        { ...deps, places: watching, checkPlugin },
        {
          captureId,
          plugin: pluginOf(plugin),
          unmask,
          actor: actor(context),
          payer: payer(context),
          signal: context.signal,
        },
      ),
  };
}

async function listRows(
  { results, ...deps }: ResultsDeps,
  turns: Turns,
  request: ListRowsRequest,
  context: CallContext,
) {
  const { captureId } = request;
  const query = queryOf(request);
  const outputDir = outputDirOf(deps, captureId);
  using _lease = await deps.images.lease(captureId);
  // A file takes its time to be made, which nobody else's turn waits for.
  await results.prepareMissing(outputDir, query.unmask);
  return await turns.run(payer(context), context.signal, async () => {
    const page = await results.page(outputDir, query, context.signal);
    // Nothing has left yet. What names nothing that there is was refused.
    deps.journal.recordReading(captureId, actor(context), 'rows_read', recordOf(request, query));
    return { plugin: presentPage(page), nextPageToken: page.nextPageToken };
  });
}

/** Where the results of a capture are. Throws capture_unknown, capture_running, evidence_deleted. */
function outputDirOf({ journal, evidence, images }: Omit<ResultsDeps, 'results'>, captureId: string): string {
  const { state } = journal.get(captureId);
  if (state.phase !== 'done')
    throw new Fault(
      'capture_running',
      `capture ${captureId} is ${state.phase}: its results can be read when its analysis has ended`,
    );
  images.checkKept(captureId);
  return `${evidence.pathOf(captureId)}/analysis`;
}

function queryOf(request: ListRowsRequest): RowQuery {
  const { plugin, filter, podNamespace, podName, container, pid, orderBy, unmask, pageSize, pageToken } = request;
  if (plugin === '') throw new Fault('invalid_argument', 'plugin is missing: name one, or a kind such as sockets');
  if (podName !== '' && podNamespace === '')
    throw new Fault('invalid_argument', `pod_namespace is missing: pod ${podName.slice(0, 253)} may be in several`);
  if (pageSize > largestPageSize)
    throw new Fault('invalid_argument', `page_size ${pageSize} is over ${largestPageSize}: ask for more pages`);
  return {
    plugin: pluginOf(plugin),
    conditions: parseFilter(filter),
    namespace: podNamespace,
    pod: podName,
    container,
    pid,
    order: parseOrder(orderBy),
    unmask,
    pageSize: pageSize === 0 ? defaultPageSize : pageSize,
    pageToken,
  };
}

/** What of a request says which rows were read. */
function recordOf(request: ListRowsRequest, { plugin }: RowQuery): Record<string, unknown> {
  const { filter, podNamespace, podName, container, pid, pageToken, unmask } = request;
  const asked = { filter, podNamespace, podName, container, pid, pageToken, unmask: unmask || undefined };
  const given = Object.entries(asked).filter(([, value]) => value !== undefined && value !== '');
  return { plugin, ...Object.fromEntries(given) };
}

function presentPage({ plugin: name, state, reason, warnings, rowCount, columns, rows }: RowPage) {
  return create(PluginResultSchema, {
    ...{ name, state: presentState(state), reason, rowCount: BigInt(rowCount), warnings: [...warnings] },
    columns: columns.map((column) => column.name),
    rows: rows.map((row) => fromJson(ListValueSchema, [...row])),
  });
}

async function* downloadResults(
  { results, ...deps }: ResultsDeps,
  places: Places,
  { captureId, unmask }: DownloadResultsRequest,
  context: CallContext,
): AsyncIterable<MessageInitShape<typeof DownloadResultsResponseSchema>> {
  const outputDir = outputDirOf(deps, captureId);
  using _place = places.take(payer(context));
  using _lease = await deps.images.lease(captureId);
  // An open file stays as it is when another takes its name.
  await using file = await open(await results.prepare(outputDir, unmask), 'r');
  const { size } = await file.stat();
  const sha256 = await digestOf(file, size, context.signal);
  deps.journal.recordReading(captureId, actor(context), 'results_downloaded', { sha256, ...(unmask && { unmask }) });
  yield { header: { size: BigInt(size), sha256 } };
  for await (const data of chunksOf(file, size, context.signal)) yield { data };
}

async function digestOf(file: FileHandle, size: number, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for await (const data of chunksOf(file, size, signal)) hash.update(data);
  return hash.digest('hex');
}

async function* chunksOf(file: FileHandle, size: number, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
  for (let at = 0; at < size; ) {
    signal.throwIfAborted();
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(chunkBytes), 0, chunkBytes, at);
    if (bytesRead === 0) throw new Fault('storage_failed', 'the file of results became shorter while it was read');
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}

const actor = (context: CallContext): string => actorOf(callerOf(context));
const payer = (context: CallContext): string => payerOf(callerOf(context));
