// detach.ts: a session that a turn starts and leaves to itself: the root of a graph of its own, one for each such call (S2, S7).

import type { Call } from './call.ts';
import { RuntimeError } from './error.ts';
import { mintId } from './id.ts';

/** Starts the detached session of this call, or finds it again after a park, a crash or in a restart; its id. */
export function detach(
  call: Call,
  agent: string,
  input: unknown,
  { reason, owner }: { readonly reason: string; readonly owner: string },
): string {
  const { session, turn } = call;
  const { engine } = session;
  const definition = engine.definition(agent);
  if (!definition)
    throw new RuntimeError('agent_not_registered', `the agent ${JSON.stringify(agent)} is not defined in this process`);
  session.track(call);
  const before = turn.replay?.get(call.key);
  // What the old run of a restart had detached was not stopped with it.
  const had = before?.child ?? before?.inheritsChild;
  if (before) {
    turn.replay!.delete(call.key);
    call.savedId = before.id;
    call.isKnown = before.child !== undefined;
  }
  if (had !== undefined && before?.outcome === 'completed') {
    call.childId = had;
    session.answer(call, 'completed', had);
    return had;
  }
  const id = had ?? mintId('s-');
  let begin: () => void;
  try {
    begin = engine.detached(session, id, { definition, input, reason, owner });
  } catch (error) {
    // Refused: the turn must not wait for it.
    session.failCall(call, error);
    throw error;
  }
  void bear(call, id, begin, had !== undefined).catch((error) => session.failCall(call, error));
  return id;
}

/**
 * Its intent is written before it is born, so that the turn, run again after a crash, has the same id; and the call ends when a crash does
 * not forget it any more. All at once, unless the store refuses, or is to say first whether it was born before.
 */
async function bear(call: Call, id: string, begin: () => void, mayBeBorn: boolean): Promise<void> {
  const { session } = call;
  const { engine } = session;
  const mayGoOn = (): boolean => !session.isOver && call.outcome === undefined;
  const mayTryAgain = async (): Promise<boolean> => {
    if (!mayGoOn()) return false;
    engine.reconsiderLater();
    await session.hold(call);
    return mayGoOn();
  };
  while (session.staysAtRest()) {
    await session.hold(call);
    if (!mayGoOn()) return;
  }
  let isBorn: boolean | undefined = mayBeBorn ? undefined : false;
  while (isBorn === undefined) {
    isBorn = await engine.wasBorn(id).catch(() => undefined);
    if (isBorn === undefined ? !(await mayTryAgain()) : !mayGoOn()) return;
  }
  call.childId = id;
  if (!isBorn) {
    while (!session.intend(call)) {
      // As if it had not been asked for: a turn that is parked now, and run again, asks anew.
      call.childId = undefined;
      if (!(await mayTryAgain())) return;
      call.childId = id;
    }
    call.isSent = true;
    begin();
  }
  for (;;) {
    const isKept = engine.isKept(id);
    if (isKept === true || (isKept !== false && (await isKept))) break;
    if (!(await mayTryAgain())) return;
  }
  if (mayGoOn()) session.completeCall(call, id);
}
