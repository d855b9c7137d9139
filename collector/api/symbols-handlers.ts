import type { CallContext, Handlers } from '@kcorder/proto/bridge/serve.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import type { ImportSymbolsRequest, SymbolsService } from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { CaptureJournal } from '../journal/capture-journal.ts';
import { bannerInImages, type CacheEntry, type KeptSymbols } from '../symbols/cache/entry.ts';
import type { SymbolSearch } from '../symbols/find.ts';
import { importIsf } from '../symbols/import.ts';
import { sha256Of, withBanner } from '../symbols/isf-banner.ts';
import type { KernelIdentity } from '../symbols/symbols.ts';
import { callerOf } from './gate.ts';
import { actorOf, payerOf } from './identity.ts';
import { Places, type PlacesOf } from './places.ts';
import { presentEntry, presentKernel } from './present-symbols.ts';

/** A small file can expand to a gigabyte in the data directory, so few are taken at a time. */
const imports: PlacesOf = { refused: 'the symbols were not imported', doing: 'importing a file', most: 2 };
/** For a whole import, since two that never end would keep everybody from importing. */
const importMs = 15 * 60_000;

/** The handlers of the symbols service. They know nothing of their transport but the context. */
export type SymbolsHandlers = Handlers<typeof SymbolsService>;

/** What the handlers reach. */
export interface SymbolsDeps {
  readonly search: SymbolSearch;
  readonly fleet: Fleet;
  readonly journal: CaptureJournal;
}

/** Makes the handlers. What changes the symbols that analyses use is in the audit log before it is done. */
export function symbolsHandlers({ search, fleet, journal }: SymbolsDeps): SymbolsHandlers {
  const { cache } = search;
  const importing = new Places(imports);
  const kept = (key: string): KeptSymbols => {
    const found = cache.peek(key);
    if (found !== undefined) return found;
    throw new Fault(
      'symbols_unknown',
      `no symbols are kept under ${key.slice(0, 160)}: list them with 'kcorder symbols get'`,
    );
  };
  const present = (key: string) =>
    presentEntry(
      kept(key),
      search,
      namesOf(fleet, (kernel) => search.kept(kernel)?.entry.key === key),
    );
  const record = (context: CallContext, action: string, detail: unknown) =>
    journal.recordAct(actorOf(callerOf(context)), action, detail);
  return {
    listSymbols: async () => {
      const rows = new Map<string, ReturnType<typeof presentKernel>>();
      const shown = new Set<string>();
      for (const { node } of fleet.list()) {
        const row = presentKernel(node.kernel, search, []);
        const own = search.kept(node.kernel)?.entry.key;
        if (own !== undefined) shown.add(own);
        // A key is a build-id that any node can claim: kernels of other banners are other rows.
        const place = own ?? JSON.stringify([row.key, row.banner]);
        rows.set(place, { ...(rows.get(place) ?? row), nodeNames: [...(rows.get(place)?.nodeNames ?? []), node.name] });
      }
      for (const kept of cache.list()) {
        if (!shown.has(kept.entry.key)) rows.set(kept.entry.key, presentEntry(kept, search, []));
      }
      const symbols = [...rows.values()].sort((a, b) => (a.release ?? '').localeCompare(b.release ?? ''));
      return { symbols, keptBytes: BigInt(cache.keptBytes), limitBytes: BigInt(cache.limitBytes) };
    },
    findSymbols: async ({ nodeName }, context) => {
      const found = fleet.list().find(({ node }) => node.name === nodeName);
      if (found === undefined) {
        throw new Fault(
          'node_unknown',
          `no agent of a node named ${nodeName} has ever attached: see 'kcorder get nodes'`,
        );
      }
      const { kernel } = found.node;
      await search.find(kernel, context.signal, { again: true });
      return { symbols: presentKernel(kernel, search, [nodeName]) };
    },
    pinSymbols: async ({ key, pinned }, context) => {
      kept(key);
      record(context, pinned ? 'symbols_pinned' : 'symbols_unpinned', { key });
      await cache.pin(key, pinned);
      return { symbols: present(key) };
    },
    deleteSymbols: async ({ key }, context) => {
      const { sha256 } = kept(key).entry;
      record(context, 'symbols_deleted', { key, sha256 });
      await cache.remove(key);
      return {};
    },
    exportSymbols: ({ key }, context) => exportSymbols(kept(key).entry, cache.isfPath(kept(key).entry), context.signal),
    importSymbols: (requests, context) => importSymbols(requests, context, { search, importing, record, present }),
  };
}

function namesOf(fleet: Fleet, fits: (kernel: KernelIdentity) => boolean): string[] {
  return fleet
    .list()
    .filter(({ node }) => fits(node.kernel))
    .map(({ node }) => node.name);
}

/** An ISF with the banner that a Volatility finds in images of its kernel. */
async function* exportSymbols(entry: CacheEntry, path: string, signal: AbortSignal) {
  const banner = bannerInImages(entry);
  try {
    const isf = await withBanner(path, entry.sizeBytes, entry.banner, banner);
    const sha256 = banner === entry.banner ? entry.sha256 : await sha256Of(isf);
    yield { header: { size: BigInt(isf.sizeBytes), sha256, banner } };
    for await (const data of isf.read()) {
      signal.throwIfAborted();
      yield { data };
    }
  } catch (cause) {
    if (!(cause instanceof Error && 'syscall' in cause)) throw cause;
    throw new Fault('symbols_unknown', `the symbols ${entry.key} have just been evicted: find them again`, { cause });
  }
}

async function* importSymbols(
  requests: AsyncIterable<ImportSymbolsRequest>,
  context: CallContext,
  deps: {
    search: SymbolSearch;
    importing: Places;
    record: (context: CallContext, action: string, detail: unknown) => void;
    present: (key: string) => ReturnType<typeof presentEntry>;
  },
) {
  const iterator = requests[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done || first.value.message.case !== 'head') {
    throw new Fault('invalid_argument', 'an import begins with a head: this stream began with something else');
  }
  const { fileName, buildId, size } = first.value.message.value;
  const importedBy = actorOf(callerOf(context));
  using _place = deps.importing.take(payerOf(callerOf(context)));
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(tooLate()), importMs);
  try {
    deps.record(context, 'symbols_imported', { fileName, buildId, size: Number(size) });
    const head = { fileName, buildId, importedBy };
    const signal = AbortSignal.any([context.signal, late.signal]);
    const entry = await importIsf(deps.search.cache, head, dataOf(iterator, Number(size)), signal);
    yield { symbols: deps.present(entry.key) };
  } finally {
    clearTimeout(timer);
  }
}

const tooLate = (): Fault =>
  new Fault(
    'deadline_exceeded',
    `the symbols were not imported: it took longer than ${importMs / 60_000} minutes, and others wait. Import over a faster connection`,
  );

async function* dataOf(requests: AsyncIterator<ImportSymbolsRequest>, size: number): AsyncIterable<Uint8Array> {
  let sizeBytes = 0;
  while (true) {
    const { done, value } = await requests.next();
    if (done) break;
    if (value.message.case !== 'data')
      throw new Fault('invalid_argument', 'bytes are expected after the head of an import');
    sizeBytes += value.message.value.length;
    yield value.message.value;
  }
  if (sizeBytes !== size)
    throw new Fault(
      'invalid_argument',
      `the import has ${sizeBytes} bytes of the ${size} that were told: send it again`,
    );
}
