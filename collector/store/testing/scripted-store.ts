import { readFileSync } from 'node:fs';
import { Fault } from '@kcorder/proto/fault.ts';
import { Crc32c } from '../crc32c.ts';
import type { RangeSource } from '../range-source.ts';
import type { CheckedStep, EvidenceStore, FileToKeep, ObjectName, StoredObject } from '../store.ts';

export type StoreCall = 'put' | 'find' | 'open' | 'delete';

/** A store in memory that keeps its promises, and fails as a test says: `meddle` is called before and after each call, and may throw. */
export class ScriptedStore implements EvidenceStore {
  readonly kind = 'gcs';
  readonly place = 'gs://bucket';
  readonly objects = new Map<string, { readonly bytes: Buffer; readonly metadata: FileToKeep['metadata'] }>();
  readonly calls: string[] = [];
  meddle: (call: StoreCall, when: 'before' | 'after', name: ObjectName) => void | Promise<void> = () => undefined;

  locationOf(name: ObjectName): string {
    return this.#location(name);
  }

  async put(name: ObjectName, file: FileToKeep): Promise<StoredObject> {
    return await this.#meddled('put', name, () => {
      const bytes = readFileSync(file.path);
      const before = this.objects.get(keyOf(name));
      if (before !== undefined && !before.bytes.equals(bytes))
        throw new Fault('evidence_conflict', `${this.#location(name)} is there with other bytes`);
      if (before === undefined) this.objects.set(keyOf(name), { bytes, metadata: file.metadata });
      if (bytes.length !== file.bytes || new Crc32c().update(bytes).digest() !== file.crc32c)
        throw new Fault('storage_failed', 'size or CRC-32C differ');
      return this.#stored(name) as StoredObject;
    });
  }

  async find(name: ObjectName): Promise<StoredObject | undefined> {
    return await this.#meddled('find', name, () => this.#stored(name));
  }

  async open(object: StoredObject): Promise<RangeSource> {
    return await this.#meddled('open', object, () => {
      const found = this.objects.get(keyOf(object));
      if (found === undefined) throw new Fault('evidence_missing', `${object.location} is gone`);
      return {
        sizeBytes: found.bytes.length,
        read: async (offset: number, length: number) => found.bytes.subarray(offset, offset + length),
        [Symbol.asyncDispose]: async () => undefined,
      };
    });
  }

  async delete(name: ObjectName): Promise<void> {
    await this.#meddled('delete', name, () => void this.objects.delete(keyOf(name)));
  }

  async *list(): AsyncIterable<ObjectName> {
    for (const key of this.objects.keys()) {
      const [captureId = '', file = ''] = key.split('/');
      yield { captureId, file };
    }
  }

  async *check(): AsyncIterable<CheckedStep> {
    yield { step: 'put', state: 'ok', detail: 'put' };
    yield { step: 'delete', state: 'failed', detail: 'may not' };
  }

  async #meddled<T>(call: StoreCall, name: ObjectName, act: () => T): Promise<T> {
    this.calls.push(`${call} ${name.file}`);
    await this.meddle(call, 'before', name);
    const result = act();
    await this.meddle(call, 'after', name);
    return result;
  }

  #stored(name: ObjectName): StoredObject | undefined {
    const { captureId, file } = name;
    const bytes = this.objects.get(keyOf(name))?.bytes;
    if (bytes === undefined) return undefined;
    const crc32c = new Crc32c().update(bytes).digest();
    return { captureId, file, location: this.#location(name), bytes: bytes.length, crc32c, generation: '1' };
  }

  #location({ captureId, file }: ObjectName): string {
    return `${this.place}/captures/${captureId}/${file}`;
  }
}

const keyOf = ({ captureId, file }: ObjectName): string => `${captureId}/${file}`;
