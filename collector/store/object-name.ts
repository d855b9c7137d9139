import { Fault } from '@kcorder/proto/fault.ts';
import type { ObjectName } from './store.ts';

const part = /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/;

/** Whether a store may hold an object of this name: one folder and one file, neither hidden nor a draft. */
export const isObjectName = ({ captureId, file }: ObjectName): boolean =>
  part.test(captureId) && part.test(file) && !/\.(part|draft)$/.test(file);

/** Throws invalid_argument for a name that could lead out of the store. */
export function checkObjectName(name: ObjectName): void {
  if (isObjectName(name)) return;
  const shown = JSON.stringify(`${name.captureId}/${name.file}`.slice(0, 200));
  throw new Fault('invalid_argument', `${shown} cannot be the name of stored evidence: use the id of a capture`);
}
