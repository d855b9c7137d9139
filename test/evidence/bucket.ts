import { tmpdir } from 'node:os';
import { type GcsStore, openGcs } from '../../collector/store/gcs.ts';
import { FaultProxy } from '../../tools/stage/fault-proxy.ts';
import { startGcs } from '../../tools/stage/gcs-server.ts';

/** A bucket of a server of its own, behind a proxy that lets requests fail. */
export interface TestBucket extends AsyncDisposable {
  readonly name: string;
  readonly proxy: FaultProxy;
  /** A new instance that is in a hurry. */
  open(settings?: { bucket?: string; prefix?: string; kmsKey?: string }, answerMs?: number): GcsStore;
}

/** Starts server and proxy, and makes the bucket. */
export async function startBucket(name: string): Promise<TestBucket> {
  const server = await startGcs();
  await server.makeBucket(name);
  const proxy = await FaultProxy.start(server.endpoint);
  const pace = { attempts: 5, firstMs: 2, longestMs: 10 };
  return {
    name,
    proxy,
    open: (settings = {}, answerMs = 20_000) =>
      openGcs({ bucket: name, prefix: '', kmsKey: '', endpoint: proxy.endpoint, ...settings }, tmpdir(), {
        ...pace,
        answerMs,
      }),
    async [Symbol.asyncDispose]() {
      await proxy.stop();
      await server.stop();
    },
  };
}
