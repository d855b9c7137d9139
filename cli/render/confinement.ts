import { type AnalysisConfinement, ConfinementLevel } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';

/** How far an analysis was confined, and by what: `in full (Landlock 7, seccomp)`. */
export function confinementText({ level, landlockAbi, seccomp }: AnalysisConfinement): string {
  if (level === ConfinementLevel.NONE) return 'not at all (no Landlock, no seccomp)';
  const parts = [landlockAbi > 0 ? `Landlock ${landlockAbi}` : 'no Landlock', seccomp ? 'seccomp' : 'no seccomp'];
  return `${level === ConfinementLevel.FULL ? 'in full' : 'in part'} (${parts.join(', ')})`;
}
