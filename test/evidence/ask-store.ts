import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { causeChain, Fault } from '@kcorder/proto/fault.ts';
import { openGcs } from '../../collector/store/gcs.ts';

// A collector's calls of its bucket, with a login, in a process of its own: the SDK and Node read the environment at their start.
const [endpoint = '', what = ''] = process.argv.slice(2);
const pace = { attempts: 3, firstMs: 2, longestMs: 10, answerMs: 10_000 };
const store = openGcs({ bucket: 'login', prefix: '', kmsKey: '', endpoint }, process.cwd(), pace);
const name = { captureId: 'cap', file: 'image.lime' };
const find = async (): Promise<string> => (await store.find(name))?.location ?? 'nothing';
const put = async (): Promise<string> => {
  const path = join(process.cwd(), 'image');
  writeFileSync(path, 'abc');
  const file = { path, bytes: 3, crc32c: '364b3fb7', metadata: {} };
  return (await store.put(name, file, new AbortController().signal)).location;
};
for (const call of what === 'put' ? [put] : what === 'find' ? [find] : [find, find]) {
  try {
    process.stdout.write(`${JSON.stringify({ found: await call() })}\n`);
  } catch (error) {
    const { code, message } = Fault.from(error);
    process.stdout.write(`${JSON.stringify({ code, message, causes: causeChain(error) })}\n`);
  }
}
