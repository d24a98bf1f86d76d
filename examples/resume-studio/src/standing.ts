// standing.ts: what is in force when a fleet starts: a stop made yesterday is no news to the runtime, but it is to whoever
// sits down at the terminal and sees nothing move.

import type { SessionView, Stop } from 'offswitch';
import { oneLine } from './cells.ts';

const over: readonly SessionView['state'][] = ['completed', 'failed', 'terminated'];

/** `command`: how the command is called here, with the options it needs. Nothing where no stop is in force. */
export function standing(stops: readonly Stop[], views: readonly SessionView[], command: string): readonly string[] {
  const open = views.filter((view) => !over.includes(view.state));
  const resting = open.filter((view) => view.decision.action !== 'run');
  const pauses = stops.filter((stop) => stop.action === 'pause');
  const ended = stops.length - pauses.length;
  const lines = pauses.map(
    (stop) =>
      `in force: pause ${nameOf(stop)}: ${stop.reason}${stop.by === undefined ? '' : ` (${stop.by})`}; ${wayOut(stop, command)}`,
  );
  if (ended > 0)
    lines.push(`in force: ${ended === 1 ? 'a session that was' : `${ended} sessions that were`} ended for good, and stay so`);
  if (resting.length > 0)
    lines.push(
      `${resting.length} of ${open.length} agents rest, and why: ${command} sessions; new ones are born at rest where a stop covers them`,
    );
  return lines.map(oneLine);
}

/** `feature batch-scoring`, `global`, `user u-ann`. */
export function nameOf({ tier, subject }: Stop): string {
  const id = subject.workflow ?? subject.userId ?? subject.conversationId ?? subject.sessionId;
  return id === undefined ? tier : `${tier} ${id}`;
}

/** How a stop is let go again. A switch is released by its name, an act by its id. */
function wayOut(stop: Stop, command: string): string {
  const what = stop.cause === 'switch' ? nameOf(stop) : `--stop ${stop.id}`;
  return `${command} release ${what} --reason "..." lets it go on`;
}
