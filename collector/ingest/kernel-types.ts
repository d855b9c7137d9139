import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { Fault } from '@kcorder/proto/fault.ts';
import type { SendKernelTypesRequest, SendKernelTypesResponseSchema } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import type { NodeIdentity } from '../capture/capture.ts';
import { nextUnlessAborted } from './abortable.ts';

type Response = MessageInitShape<typeof SendKernelTypesResponseSchema>;

/** Most that a node may send of each part, in bytes. A kernel's have some 5 and 10 MB. */
const partLimits = { btf: 64 << 20, kallsyms: 128 << 20 } as const;
const transferMs = 120_000;
/** How long after the end of the requests a reset of the call may come. */
const resetMs = 1_000;

/** What a node sent, as files whose digest is the one that it had told. */
export interface ReceivedTypes {
  readonly btfPath: string;
  readonly kallsymsPath: string;
}

interface Expected {
  readonly nodeUid: string;
  readonly digest: string;
  readonly directory: string;
  readonly signal: AbortSignal;
  readonly settle: PromiseWithResolvers<ReceivedTypes>;
}

/** Transfers of kernel types that were ordered: nothing else is taken, and each only once. */
export class TypesTransfers {
  readonly #expected = new Map<string, Expected>();

  /**
   * Waits for one transfer of a node into a directory, which is made; `order` gets its id. Throws what ended it: the signal's reason,
   * deadline_exceeded after two minutes, or the fault that the sender was told.
   */
  async receive(
    node: { readonly uid: string; readonly digest: string },
    directory: string,
    order: (transferId: string) => void,
    signal: AbortSignal,
  ): Promise<ReceivedTypes> {
    const transferId = randomUUID();
    const settle = Promise.withResolvers<ReceivedTypes>();
    // It may break before anybody waits for it, while the directory is made.
    settle.promise.catch(() => undefined);
    const limited = AbortSignal.any([signal, AbortSignal.timeout(transferMs)]);
    const giveUp = () => {
      const late = new Fault(
        'deadline_exceeded',
        `the node did not send its kernel types within ${transferMs / 1000} s`,
      );
      settle.reject(signal.aborted ? signal.reason : late);
    };
    limited.addEventListener('abort', giveUp, { once: true });
    this.#expected.set(transferId, { nodeUid: node.uid, digest: node.digest, directory, signal: limited, settle });
    try {
      limited.throwIfAborted();
      await mkdir(directory, { recursive: true, mode: 0o700 });
      limited.throwIfAborted();
      order(transferId);
      return await settle.promise;
    } finally {
      limited.removeEventListener('abort', giveUp);
      this.#expected.delete(transferId);
    }
  }

  /** Serves one SendKernelTypes stream of a node. */
  async *serve(
    requests: AsyncIterable<SendKernelTypesRequest>,
    node: NodeIdentity,
    signal: AbortSignal,
  ): AsyncIterable<Response> {
    const iterator = requests[Symbol.asyncIterator]();
    const first = await iterator.next();
    const transferId = !first.done && first.value.message.case === 'open' ? first.value.message.value.transferId : '';
    const expected = this.#expected.get(transferId);
    if (expected === undefined || expected.nodeUid !== node.uid) {
      throw new Fault('not_ordered', `node ${node.name} sends kernel types that nobody ordered from it`);
    }
    this.#expected.delete(transferId);
    try {
      expected.settle.resolve(await take(iterator, node, expected, AbortSignal.any([signal, expected.signal])));
    } catch (error) {
      expected.settle.reject(error);
      throw error;
    }
    yield {};
  }
}

async function take(
  requests: AsyncIterator<SendKernelTypesRequest>,
  node: NodeIdentity,
  { directory, digest }: Expected,
  signal: AbortSignal,
): Promise<ReceivedTypes> {
  await using btf = await openPart(directory, 'btf');
  await using kallsyms = await openPart(directory, 'kallsyms');
  const parts = { btf, kallsyms };
  while (true) {
    const { done, value } = await nextUnlessAborted(requests, signal);
    if (done) break;
    const { message } = value;
    if (message.case === 'btf' || message.case === 'kallsyms') await parts[message.case].add(message.value, node);
    else if (message.case === 'refusal') throw new Fault('unavailable', message.value.message.slice(0, 512));
    else
      throw new Fault('invalid_argument', `node ${node.name}: bytes of its kernel types are expected after the open`);
  }
  const found = createHash('sha256').update(btf.digest()).update(kallsyms.digest()).digest('hex');
  if (found !== digest) {
    // A client of Node ends its requests before it resets the call, so what broke off looks whole at first.
    await sleep(resetMs, undefined, { signal }).catch(() => signal.throwIfAborted());
    throw new Fault(
      'checksum_mismatch',
      `node ${node.name} sent kernel types with the digest ${found} and had told ${digest}: it changed, or it lies`,
    );
  }
  return { btfPath: btf.path, kallsymsPath: kallsyms.path };
}

async function openPart(directory: string, name: keyof typeof partLimits) {
  const path = join(directory, name);
  const file = await open(path, 'wx', 0o600);
  const hash = createHash('sha256');
  let sizeBytes = 0;
  return {
    path,
    add: async (bytes: Uint8Array, node: NodeIdentity): Promise<void> => {
      sizeBytes += bytes.length;
      if (sizeBytes > partLimits[name]) {
        throw new Fault('ceiling_exceeded', `node ${node.name} sent more than ${partLimits[name]} bytes of ${name}`);
      }
      hash.update(bytes);
      await file.writeFile(bytes);
    },
    digest: () => hash.digest(),
    [Symbol.asyncDispose]: () => file.close(),
  };
}
