import { join } from 'node:path';
import { type CacheEntry, nodeKey, toldKey } from '../cache/entry.ts';
import type { KernelIdentity } from '../symbols.ts';
import { nothing, type SymbolSource } from './source.ts';

/** Asks an attached node for its kernel types: see fleet/kernel-types.ts. */
export type AskNode = (
  digest: string,
  directory: string,
  signal: AbortSignal,
) => Promise<
  | { readonly kind: 'received'; readonly nodeName: string; readonly files: { btfPath: string; kallsymsPath: string } }
  | { readonly kind: 'offline' }
  | { readonly kind: 'failed'; readonly reason: string }
>;

/** The nodes whose agents are attached, as symbols see them. */
export interface Nodes {
  readonly ask: AskNode;
  attached(): readonly { readonly name: string; readonly kernel: KernelIdentity }[];
}

const sourceOf = (nodeName: string) => `BTF and kallsyms of node ${nodeName}`;

/** True when an attached node tells of the kernel that kept symbols are of, and is not the one that sent them. */
export function isRunElsewhere(entry: CacheEntry, { attached }: Pick<Nodes, 'attached'>): boolean {
  return attached().some(
    ({ name, kernel }) =>
      kernel.banner === entry.banner &&
      sourceOf(name) !== entry.source &&
      [nodeKey(kernel), toldKey(kernel)].includes(entry.key),
  );
}

/** The running kernel itself: its BTF and its symbol list, sent by a node that runs it. */
export function createNodeSource(ask: AskNode): SymbolSource {
  return {
    async seek(kernel, { scratchPath, signal }) {
      const digest = kernel.typesDigest ?? '';
      if (digest === '') {
        return nothing(`the node itself: ${kernel.typesProblem || 'its agent is too old to send its types'}`);
      }
      const answer = await ask(digest, join(scratchPath, 'node'), signal);
      switch (answer.kind) {
        case 'received':
          return { kind: 'types', ...answer.files, from: sourceOf(answer.nodeName) };
        case 'offline':
          return nothing('the node itself: no node with this kernel is attached');
        case 'failed':
          return nothing(`the node itself: ${answer.reason}`);
      }
    },
  };
}
