import type { PreflightReason } from '@kcorder/proto/gen/kcorder/v1/node_pb.ts';

/** One thing that stands in the way of a capture, with what was seen and what to do: the message PreflightRefusal. */
export interface Refusal {
  readonly reason: PreflightReason;
  readonly message: string;
}
