import type { RunOptions } from './agent.ts';
import { never } from './call.ts';
import { currentContext } from './context.ts';
import { RuntimeError } from './error.ts';
import type { OpenTurn } from './open-turn.ts';
import type { Outcome } from './outcome.ts';
import type { LiveSession } from './session.ts';
import type { AttachOptions } from './spawn.ts';
import type { World } from './world.ts';

/** The session of this runtime whose code asks for a run. Code that goes on after the end of its session starts nothing (S9). */
export function around(world: World): LiveSession | undefined {
  const session = currentContext()?.session;
  if (!session || session.engine !== world) return undefined;
  if (session.isOver && !session.isStopped) {
    throw new RuntimeError(
      'session_ended',
      `session ${session.id} has ended, and code that was started in it may start no run any more`,
    );
  }
  return session;
}

/** A run started inside a session is a child of it (S2); between turns it is a turn of its own. */
export async function runInside(
  session: LiveSession,
  name: string,
  input: unknown,
  options: RunOptions,
  unnamed: Omit<AttachOptions, 'isRun'> = {},
): Promise<Outcome> {
  if (session.isOver) return never();
  const spec = { ...unnamed, ...(options.userId === undefined ? {} : { userId: options.userId }) };
  if (session.open) return session.open.run(name, input, spec);
  const { state } = session.saved;
  let outcome: Outcome | undefined;
  await session.turn(async (turn) => {
    outcome = await (turn as OpenTurn).run(name, input, spec);
    return state;
  });
  return outcome!;
}
