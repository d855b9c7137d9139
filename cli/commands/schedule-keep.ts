import { agree } from '../calls/agree.ts';
import { answered, nextTickText, printSchedule } from '../calls/schedules.ts';
import { exitCode } from '../exit-code.ts';
import { visible } from '../output/visible.ts';
import type { Session } from '../session.ts';

/** `kcorder schedule pause NAME`: makes no captures until it is resumed. */
export async function schedulePause(session: Session, name: string): Promise<number> {
  const answer = await session.schedules.pauseSchedule({ name }, { signal: session.terminal.interrupt });
  const schedule = answered(answer.schedule, name);
  session.note(
    `Schedule ${name} is paused: its ticks are recorded as skipped. \`kcorder schedule resume ${name}\` ends that.`,
  );
  printSchedule(session, schedule);
  return exitCode.ok;
}

/** `kcorder schedule resume NAME`: the end of a pause. */
export async function scheduleResume(session: Session, name: string): Promise<number> {
  const answer = await session.schedules.resumeSchedule({ name }, { signal: session.terminal.interrupt });
  const schedule = answered(answer.schedule, name);
  session.note(`Schedule ${name} goes on. ${nextTickText(schedule.nextTickAt)}`);
  printSchedule(session, schedule);
  return exitCode.ok;
}

/** `kcorder schedule delete NAME`: its captures and the record of its runs stay. */
export async function scheduleDelete(session: Session, name: string, yes: boolean): Promise<number> {
  if (!yes) {
    await agree(session, {
      text: `Delete schedule ${name}? Its captures stay.`,
      refusal: `schedule ${name} was not deleted. Repeat with --yes.`,
      declined: 'nothing was deleted',
    });
  }
  await session.schedules.deleteSchedule({ name }, { signal: session.terminal.interrupt });
  session.print({
    document: () => ({ deleted: name }),
    table: () => `schedule ${visible(name)} deleted\n`,
  });
  session.note(
    'Its captures and the record of its runs stay. No schedule deletes them by age or number, not even one of the same name.',
  );
  return exitCode.ok;
}
