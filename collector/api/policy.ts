import { pathOf } from '@kcorder/proto/bridge/definition.ts';
import type { CallContext } from '@kcorder/proto/bridge/serve.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { type Identity, identityOf } from './identity.ts';

/** Which kind of identity may call which method. A method that is not here can be called by nobody. */
export const policy: Readonly<Record<string, Identity['kind']>> = {
  '/kcorder.v1.AgentService/Attach': 'node',
  '/kcorder.v1.IngestService/Upload': 'node',
  '/kcorder.v1.IngestService/SendKernelTypes': 'node',
  '/kcorder.v1.OperatorService/CreateCapture': 'operator',
  '/kcorder.v1.OperatorService/GetCapture': 'operator',
  '/kcorder.v1.OperatorService/ListCaptures': 'operator',
  '/kcorder.v1.OperatorService/WatchCapture': 'operator',
  '/kcorder.v1.OperatorService/CancelCapture': 'operator',
  '/kcorder.v1.OperatorService/DownloadEvidence': 'operator',
  '/kcorder.v1.OperatorService/GetAnalysis': 'operator',
  '/kcorder.v1.OperatorService/ListNodes': 'operator',
  '/kcorder.v1.OperatorService/GetVersion': 'operator',
  '/kcorder.v1.SymbolsService/ListSymbols': 'operator',
  '/kcorder.v1.SymbolsService/FindSymbols': 'operator',
  '/kcorder.v1.SymbolsService/PinSymbols': 'operator',
  '/kcorder.v1.SymbolsService/DeleteSymbols': 'operator',
  '/kcorder.v1.SymbolsService/ExportSymbols': 'operator',
  '/kcorder.v1.SymbolsService/ImportSymbols': 'operator',
};

/** Throws unauthenticated or permission_denied when this caller may not call this method. */
export function admit(context: CallContext): void {
  const path = pathOf(context.method);
  const identity = identityOf(context.peerNames);
  if (policy[path] !== identity.kind) {
    throw new Fault(
      'permission_denied',
      `${identity.kind} ${identity.name} may not call ${path}: it needs another certificate`,
    );
  }
}

/** The node that calls; only for methods whose policy says so. */
export function callingNode(context: CallContext): Identity & { kind: 'node' } {
  const identity = identityOf(context.peerNames);
  if (identity.kind !== 'node') throw new Fault('permission_denied', 'only a node may call this');
  return identity;
}
