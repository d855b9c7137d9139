import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  type KernelSymbolsSchema,
  SymbolsQuality,
  SymbolsState,
  type SymbolsStatusSchema,
} from '@kcorder/proto/gen/kcorder/v1/symbols_pb.ts';
import { type KeptSymbols, kernelKey } from '../symbols/cache/entry.ts';
import type { SymbolSearch } from '../symbols/find.ts';
import type {
  KernelIdentity,
  SymbolsQuality as Quality,
  SourceReport,
  SymbolsState as State,
  SymbolsStatus,
} from '../symbols/symbols.ts';

type KernelSymbolsInit = Extract<MessageInitShape<typeof KernelSymbolsSchema>, { $typeName?: never }>;
type StatusInit = MessageInitShape<typeof SymbolsStatusSchema>;

/** A quality as the contract has it. */
export const presentQuality: Record<Quality, SymbolsQuality> = {
  dwarf: SymbolsQuality.DWARF,
  btf: SymbolsQuality.BTF,
  provided: SymbolsQuality.PROVIDED,
};

/** A kernel's status as operators see it. */
export function presentStatus({ state, reports }: SymbolsStatus): StatusInit {
  return { ...presentState(state), sources: reports.map(presentReport) };
}

function presentState(state: State): Omit<Exclude<StatusInit, { $typeName: string }>, 'sources'> {
  switch (state.kind) {
    case 'ready': {
      const { source, quality, isfSha256 } = state;
      return { state: SymbolsState.READY, source, quality: presentQuality[quality], isfSha256 };
    }
    case 'building': {
      const { step, doneBytes, totalBytes } = state;
      return {
        state: SymbolsState.BUILDING,
        detail: step,
        doneBytes: BigInt(doneBytes),
        totalBytes: BigInt(totalBytes),
      };
    }
    case 'missing':
      return { state: SymbolsState.MISSING, detail: `${state.advice} Looked in: ${state.looked.join('; ')}` };
    case 'mismatch':
      return { state: SymbolsState.MISMATCH, detail: state.detail };
    case 'rejected':
      return { state: SymbolsState.REJECTED, detail: state.detail };
    case 'unsupported':
      return { state: SymbolsState.UNSUPPORTED, detail: `Volatility cannot analyze ${state.architecture}` };
  }
}

function presentReport({ name, state, detail, askedAt, rememberedUntil }: SourceReport) {
  return {
    name,
    state,
    detail,
    ...(askedAt === undefined ? {} : { askedAt: timestampFromDate(new Date(askedAt)) }),
    ...(rememberedUntil === undefined ? {} : { rememberedUntil: timestampFromDate(new Date(rememberedUntil)) }),
  };
}

/** A kernel with what is kept for it and the nodes that run it. */
export function presentKernel(
  kernel: KernelIdentity,
  search: SymbolSearch,
  nodeNames: readonly string[],
): KernelSymbolsInit {
  const kept = search.kept(kernel);
  const { buildId, release, banner, architecture, cosBuildId } = kernel;
  return {
    key: kept?.entry.key ?? kernelKey(kernel),
    buildId,
    release,
    banner,
    architecture,
    cosBuildId,
    status: presentStatus(search.status(kernel)),
    nodeNames: [...nodeNames],
    ...(kept === undefined ? {} : presentKept(kept)),
  };
}

/** Kept symbols, whoever runs their kernel. */
export function presentEntry(kept: KeptSymbols, search: SymbolSearch, nodeNames: readonly string[]): KernelSymbolsInit {
  const { key, buildId, release, banner, architecture } = kept.entry;
  const status = presentStatus({ state: search.ready(kept.entry), reports: [] });
  const facts = { key, buildId, release, banner, architecture };
  return { ...facts, status, nodeNames: [...nodeNames], ...presentKept(kept) };
}

function presentKept({ entry, usedMs }: KeptSymbols) {
  const { sizeBytes, pinned, builtAt, remarks } = entry;
  return {
    sizeBytes: BigInt(sizeBytes),
    pinned,
    builtAt: timestampFromDate(new Date(builtAt)),
    usedAt: timestampFromDate(new Date(usedMs)),
    remarks: [...remarks],
  };
}
