import { describeStore } from '../../collector/store/testing/store-contract.ts';
import { startBucket } from './bucket.ts';

describeStore('a bucket', async () => {
  const bucket = await startBucket('contract');
  return {
    again: () => Promise.resolve(bucket.open({ prefix: 'team/a' })),
    secrets: () => bucket.proxy.secrets,
    [Symbol.asyncDispose]: () => bucket[Symbol.asyncDispose](),
  };
});
