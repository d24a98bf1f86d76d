// resume.ts: lets one session go on.

import { checkId } from '@offswitch/core';
import { type Command, type Done, done } from './command.ts';
import { CommandError } from './failure.ts';
import { clean } from './print.ts';
import { type Answers, askAll, sessionsIn } from './wire.ts';

export async function resume(
  command: Command,
  session: string,
  params: { readonly by: string; readonly reason: string },
): Promise<Done> {
  checkId('sessionId', session);
  const answer = await askOwner(command, session, 'resume', { session, ...params });
  const [view] = sessionsIn([answer]);
  command.say(
    view && view.action !== 'run'
      ? `${clean(session)} may go on as far as this goes, but ${view.tier ?? '?'} ${view.cause ?? '?'} still holds it: ${clean(view.reason ?? 'no reason')}`
      : `${clean(session)} goes on${view?.unknownCalls.length ? ', once its calls of unknown outcome are resolved' : ''}`,
  );
  return done({ session: view ?? session });
}

/** Asks the processes in turn until the one that knows the session answers. */
export async function askOwner(
  command: Command,
  session: string,
  method: string,
  params: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  const { place } = command;
  const answers: Answers<unknown> = await askAll(place, 'ping', {}, (value) => value);
  if (answers.answered.length === 0 && answers.silent.length === 0) {
    throw new CommandError(
      'no_process',
      `no process is running on ${place.folder}: start the application; parked sessions that nothing holds go on by themselves`,
    );
  }
  let worst = {
    code: 'unknown_session',
    message: `no running process knows session ${clean(session)}; see: offswitch sessions --all`,
  };
  for (const { process } of [...answers.answered, ...answers.silent]) {
    const said = await askAll(place, method, params, (value) => value, process);
    const [first] = said.answered;
    if (first) return first.value;
    const [failed] = said.silent;
    if (failed && failed.code !== 'unknown_session') worst = failed;
  }
  throw new CommandError(worst.code, clean(worst.message.replace(/^\[[\w-]+\] /, '')));
}
