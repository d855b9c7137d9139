/** Who may call a method. */
export type Rule =
  /** The certificate of a node. */
  | { readonly by: 'node' }
  /** Whoever comes: the handler checks a credential of its own. */
  | { readonly by: 'anyone' }
  /** Somebody who is known, whatever their rights. */
  | { readonly by: 'person' }
  /** The certificate of an operator, or somebody who has this right. */
  | {
      readonly by: 'right';
      readonly resource: string;
      readonly verb: string;
      readonly nameField?: string;
      /** Each call adds to the audit log, so one caller can make only so many. */
      readonly onRecord?: true;
    };

export type Right = Extract<Rule, { readonly by: 'right' }>;

const right = (resource: string, verb: string, nameField?: string): Right => ({
  by: 'right',
  resource,
  verb,
  ...(nameField === undefined ? {} : { nameField }),
});

const act = (...of: Parameters<typeof right>): Rule => ({ ...right(...of), onRecord: true });

/** A method that is not here can be called by nobody. */
export const policy: Readonly<Record<string, Rule>> = {
  '/kcorder.v1.AgentService/Attach': { by: 'node' },
  '/kcorder.v1.IngestService/Upload': { by: 'node' },
  '/kcorder.v1.IngestService/SendKernelTypes': { by: 'node' },
  '/kcorder.v1.EnrolmentService/Enrol': { by: 'anyone' },
  '/kcorder.v1.EnrolmentService/CreateJoinToken': act('nodes', 'create'),
  '/kcorder.v1.OperatorService/CreateCapture': act('captures', 'create', 'nodeName'),
  '/kcorder.v1.OperatorService/GetCapture': right('captures', 'get'),
  '/kcorder.v1.OperatorService/ListCaptures': right('captures', 'list'),
  '/kcorder.v1.OperatorService/WatchCapture': right('captures', 'get'),
  '/kcorder.v1.OperatorService/CancelCapture': act('captures', 'cancel'),
  '/kcorder.v1.OperatorService/ApproveCapture': act('captures', 'approve', 'nodeName'),
  '/kcorder.v1.OperatorService/DownloadEvidence': act('evidence', 'download'),
  '/kcorder.v1.OperatorService/GetAnalysis': act('analyses', 'get'),
  '/kcorder.v1.OperatorService/AnalyzeCapture': act('analyses', 'create'),
  '/kcorder.v1.OperatorService/ListNodes': right('nodes', 'list'),
  '/kcorder.v1.OperatorService/ResolvePods': right('nodes', 'list'),
  '/kcorder.v1.OperatorService/GetVersion': { by: 'person' },
  '/kcorder.v1.EvidenceService/DeleteEvidence': act('evidence', 'delete'),
  '/kcorder.v1.EvidenceService/HoldEvidence': act('evidence', 'hold'),
  '/kcorder.v1.EvidenceService/ReleaseEvidence': act('evidence', 'release'),
  '/kcorder.v1.EvidenceService/VerifyEvidence': act('evidence', 'verify'),
  '/kcorder.v1.EvidenceService/VerifyAudit': act('evidence', 'verify'),
  '/kcorder.v1.EvidenceService/CheckStore': act('stores', 'check'),
  '/kcorder.v1.ScheduleService/CreateSchedule': act('schedules', 'create'),
  '/kcorder.v1.ScheduleService/GetSchedule': right('schedules', 'get'),
  '/kcorder.v1.ScheduleService/ListSchedules': right('schedules', 'list'),
  '/kcorder.v1.ScheduleService/PauseSchedule': act('schedules', 'pause', 'name'),
  '/kcorder.v1.ScheduleService/ResumeSchedule': act('schedules', 'pause', 'name'),
  '/kcorder.v1.ScheduleService/TriggerSchedule': act('schedules', 'trigger', 'name'),
  '/kcorder.v1.ScheduleService/DeleteSchedule': act('schedules', 'delete', 'name'),
  '/kcorder.v1.ScheduleService/ListRuns': right('schedules', 'list'),
  '/kcorder.v1.SymbolsService/ListSymbols': right('symbols', 'list'),
  '/kcorder.v1.SymbolsService/FindSymbols': right('symbols', 'find'),
  '/kcorder.v1.SymbolsService/PinSymbols': act('symbols', 'pin'),
  '/kcorder.v1.SymbolsService/DeleteSymbols': act('symbols', 'delete'),
  '/kcorder.v1.SymbolsService/ExportSymbols': right('symbols', 'download'),
  '/kcorder.v1.SymbolsService/ImportSymbols': act('symbols', 'create'),
};

/** Health and reflection: for a known caller, node or person. Probes have their own port. */
const standardMethods: ReadonlySet<string> = new Set([
  '/grpc.health.v1.Health/Check',
  '/grpc.health.v1.Health/List',
  '/grpc.health.v1.Health/Watch',
  '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
  '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
]);

/** Undefined: nobody may call it. */
export const ruleOf = (path: string): Rule | { readonly by: 'known' } | undefined =>
  standardMethods.has(path) ? { by: 'known' } : policy[path];
