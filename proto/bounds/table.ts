import { type Bounds, bytes, list, number, text } from './bound.ts';

const kib = 1 << 10;
const piece = bytes(1 << 20);
const name = text(253);
const uid = text(128);
const id = text(64);
const version = text(128);
const digestText = text(128);
const key = text(512);
/** A sentence of a person: handlers take 1,024 characters. */
const sentence = text(4 * kib);
const problem = text(2 * kib);
const labels = text(4 * kib);
const uint32 = number(0n, 2n ** 32n - 1n);
const int32 = number(-(2n ** 31n), 2n ** 31n - 1n);
/** Offsets and sizes are numbers of JavaScript from here on. */
const size = number(0n, BigInt(Number.MAX_SAFE_INTEGER));
/** No x86-64 processor addresses more. */
const address = number(0n, 2n ** 52n - 1n);
const choice = number(0n, 999n);
const refusals = list(32);
/** An agent runs one; a few more may have ended without its knowing. */
const runningCaptures = list(64, id);
const oneCapture = { capture_id: id };
const deed = { capture_id: id, reason: sentence };
const scheduleName = { name: text(63) };

/**
 * How much others may send in each field, enforced before a message is decoded; a test holds it against the descriptors. Requests of callers and
 * everything that agents send are in it, and what agents are sent: they are privileged. The command line takes answers of its collector of any
 * shape, within the largest message.
 */
export const bounds: Bounds = {
  'google.protobuf.Timestamp': {
    // The years 1 to 9999.
    seconds: number(-62_135_596_800n, 253_402_300_799n),
    nanos: number(0n, 999_999_999n),
  },
  'google.protobuf.Duration': {
    seconds: number(-315_576_000_000n, 315_576_000_000n),
    nanos: number(-999_999_999n, 999_999_999n),
  },

  'kcorder.v1.Hello': { agent_version: version, instance_id: uid, running_capture_ids: runningCaptures },
  'kcorder.v1.Heartbeat': { running_capture_ids: runningCaptures },
  'kcorder.v1.OrderAnswer': { capture_id: id, refusals },
  'kcorder.v1.Welcome': { collector_version: version },
  'kcorder.v1.CaptureOrder': oneCapture,
  'kcorder.v1.CancelOrder': oneCapture,
  'kcorder.v1.KernelTypesOrder': { transfer_id: id },

  'kcorder.v1.KernelDescriptor': {
    // They become arguments of programs and parts of many comparisons; a kernel's are shorter than a page.
    release: text(4 * kib),
    banner: text(4 * kib),
    build_id: text(4 * kib),
    vmcoreinfo: text(64 * kib),
    architecture: text(64),
    cos_build_id: text(128),
    boot_id: uid,
    machine_id: uid,
    lockdown: text(64),
    // Ascending and disjoint besides: laws.ts. Firmware hands over some dozen.
    ram_ranges: list(1_024),
    types_digest: digestText,
    types_problem: problem,
  },
  'kcorder.v1.RamRange': { start: address, end: address },
  'kcorder.v1.LeftOutMemory': { kind: text(64), bytes: address },
  'kcorder.v1.Preflight': { refusals },
  'kcorder.v1.PreflightRefusal': { reason: choice, message: problem },
  'kcorder.v1.PodContainer': {
    pod_namespace: name,
    pod_name: name,
    pod_uid: uid,
    container_name: name,
    container_id: uid,
    config_hash: uid,
  },
  'kcorder.v1.Acquirer': { name: text(64), version, sha256: digestText },

  'kcorder.v1.UploadOpen': { capture_id: id, acquisition_id: uid, attempt: uint32, held_from: size },
  'kcorder.v1.AcquisitionStart': {
    // avml acquire --source KCORE FIFO. Kept in each state of the capture, six bytes for a control character.
    argv: list(16, text(1 * kib)),
    boot_id: uid,
    containers: list(4_096),
    left_out_memory: list(8),
  },
  'kcorder.v1.Chunk': { offset: size, crc32: uint32, data: piece },
  'kcorder.v1.UploadFinish': {
    bytes: size,
    sha256: bytes(32),
    exit_code: int32,
    signal: text(64),
    // 4 KiB as the agent read them: what is no UTF-8 became three bytes each.
    stderr_tail: text(16 * kib),
  },
  'kcorder.v1.UploadResume': { epoch: uint32, durable_offset: size },
  'kcorder.v1.UploadAcknowledgement': { durable_offset: size },
  'kcorder.v1.UploadSealed': { bytes: size, sha256: bytes(32) },
  'kcorder.v1.SendKernelTypesRequest': { btf: piece, kallsyms: piece },
  'kcorder.v1.KernelTypesOpen': { transfer_id: id },
  'kcorder.v1.KernelTypesRefusal': { message: problem },

  'kcorder.v1.EnrolRequest': {
    service_account_token: text(16 * kib),
    join_token: text(16 * kib),
    public_key: bytes(256),
    proof: bytes(256),
    agent_version: version,
  },
  'kcorder.v1.EnrolResponse': { certificate: text(64 * kib), trust_bundle: text(512 * kib) },
  'kcorder.v1.CreateJoinTokenRequest': { node_name: name, node_uid: uid },

  'kcorder.v1.DeleteEvidenceRequest': deed,
  'kcorder.v1.HoldEvidenceRequest': deed,
  'kcorder.v1.ReleaseEvidenceRequest': deed,
  'kcorder.v1.VerifyEvidenceRequest': oneCapture,
  'kcorder.v1.VerifyAuditRequest': { noted_sequence: size, noted_sha256: text(64) },

  'kcorder.v1.CreateCaptureRequest': { node_name: name, reason: sentence, idempotency_key: key, pods: list(64) },
  'kcorder.v1.PodReference': { namespace: name, name, uid, config_hash: uid },
  'kcorder.v1.GetCaptureRequest': oneCapture,
  'kcorder.v1.ListCapturesRequest': { node_name: name, page_size: uint32, page_token: id },
  'kcorder.v1.WatchCaptureRequest': oneCapture,
  'kcorder.v1.CancelCaptureRequest': oneCapture,
  'kcorder.v1.DownloadEvidenceRequest': { capture_id: id, offset: size },
  'kcorder.v1.GetAnalysisRequest': { capture_id: id, row_plugins: list(64, text(128)) },
  'kcorder.v1.AnalyzeCaptureRequest': oneCapture,
  'kcorder.v1.CancelAnalysisRequest': oneCapture,
  // The collector takes 32 KiB in all.
  'kcorder.v1.AnalysisSpec': { profile: text(64), plugins: list(64) },
  'kcorder.v1.PluginSpec': { name: text(128), arguments: list(16) },
  'kcorder.v1.PluginArgument': { name: text(64), value: text(4 * kib) },
  'kcorder.v1.ResolvePodsRequest': { all_in_namespace: name },
  'kcorder.v1.PodSelector': { namespace: name, labels },
  'kcorder.v1.ApproveCaptureRequest': { node_name: name, reason: sentence },

  'kcorder.v1.ListRowsRequest': {
    capture_id: id,
    plugin: text(128),
    // 4,096 characters.
    filter: text(16 * kib),
    pod_namespace: name,
    pod_name: name,
    container: name,
    pid: uint32,
    order_by: text(512),
    page_size: uint32,
    page_token: text(64),
  },
  'kcorder.v1.DownloadResultsRequest': oneCapture,
  'kcorder.v1.WatchAnalysisRequest': { capture_id: id, plugin: text(128) },

  'kcorder.v1.ScheduleSpec': {
    ...scheduleName,
    cron: text(1 * kib),
    time_zone: text(128),
    max_concurrent: uint32,
    reason: sentence,
  },
  'kcorder.v1.ScheduleTarget': {
    node_names: list(1_000, name),
    node_labels: labels,
    pod_namespaces: list(1_000, name),
    pod_labels: labels,
  },
  'kcorder.v1.Retention': { keep_last: uint32 },
  'kcorder.v1.GetScheduleRequest': scheduleName,
  'kcorder.v1.PauseScheduleRequest': scheduleName,
  'kcorder.v1.ResumeScheduleRequest': scheduleName,
  'kcorder.v1.TriggerScheduleRequest': { ...scheduleName, idempotency_key: key },
  'kcorder.v1.DeleteScheduleRequest': scheduleName,
  'kcorder.v1.ListRunsRequest': { schedule: text(63), node_name: name, limit: uint32 },

  'kcorder.v1.FindSymbolsRequest': { node_name: name },
  'kcorder.v1.PinSymbolsRequest': { key },
  'kcorder.v1.DeleteSymbolsRequest': { key },
  'kcorder.v1.ExportSymbolsRequest': { key },
  'kcorder.v1.ImportSymbolsRequest': { data: piece },
  'kcorder.v1.ImportHead': { file_name: text(4 * kib), build_id: key, size },
};
