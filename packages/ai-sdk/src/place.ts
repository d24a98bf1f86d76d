// place.ts: to which session, and to which of its turns, a model call or a tool call belongs.
//
// The SDK's loop knows nothing of sessions. Inside the body of a governed call (a tool that starts an agent) everything
// governed belongs to that call's one child session, whatever its author forwarded; else to the session of the async
// context. Each model call begins a turn; the tools of its reply belong to the turn that is open then.

import { contextSession, currentCall, type OpenCall, RuntimeError, type Session, type Turn } from '@offswitch/runtime';
import { AiSdkError } from './error.ts';
import { checkpoint, mustContinue } from './messages.ts';
import type { PromptMessage } from './model-shape.ts';
import { stoppedBefore } from './stopped.ts';

export interface Place {
  readonly session: Session;
  /** It lives inside a call and is replayed from its first turn, so that it needs no messages as a checkpoint. */
  readonly isInline: boolean;
}

/** Where the running code is. `name`: of the child session, default the tool that delegates. Throws `ungoverned`. */
export async function placeOf(what: string, name: string | undefined, ifStopped: 'wait' | 'throw'): Promise<Place> {
  const call = currentCall();
  const session = call?.session ?? contextSession();
  if (!session) {
    throw new AiSdkError(
      'ungoverned',
      `${what} was used outside of every session, so nothing could stop it; run the agent inside runtime.agent(...) or runtime.run(...)`,
    );
  }
  if (!call) return { session, isInline: false };
  if (call.class === 'effect') warnUndeclared(call.name);
  try {
    return { session: call.child(name ?? call.name), isInline: true };
  } catch (error) {
    if (!RuntimeError.is(error) || error.code !== 'session_ended') throw error;
    await stoppedBefore(session, ifStopped);
    throw error;
  }
}

const warned = new Set<string>();

/** Held or stopped, what such a tool does is of unknown outcome, and a person would be asked: the author should hear of it before. */
function warnUndeclared(tool: string): void {
  if (warned.has(tool)) return;
  warned.add(tool);
  process.emitWarning(
    `the tool ${JSON.stringify(tool)} starts an agent but counts as an effect, so a stop in the middle of it leaves its outcome unknown; if starting governed work is all it does, declare it: govern({ delegates: [${JSON.stringify(tool)}] })`,
    { type: 'OffswitchWarning', code: 'OFFSWITCH_UNDECLARED_DELEGATE' },
  );
}

interface Loop {
  /** The way to the turn: whoever comes meanwhile waits for it, so that no two begin at once. */
  step: Promise<void> | undefined;
  hasBegun: boolean;
  /** A model has replied: a prompt without a reply in it is another loop, and not a first call tried again. */
  hasReplied: boolean;
  isMixed: boolean;
}

/** Opens the call in the same synchronous block in which the turn is known to be open. */
type Use = (turn: Turn) => Promise<OpenCall>;

const loops = new WeakMap<Session, Loop>();
const ours = new WeakSet<Turn>();

/** Ends the turn before, with the prompt as its checkpoint, and begins the next; inside a turn of the author's own, that one. */
export async function inNextTurn({ session, isInline }: Place, prompt: readonly PromptMessage[], use: Use): Promise<OpenCall> {
  const loop = loopOf(session);
  let opening: Promise<OpenCall> | undefined;
  await chain(loop, async () => {
    if (!session.open || ours.has(session.open)) {
      if (!loop.hasBegun && !isInline) mustContinue(session, prompt);
      if (loop.hasReplied && !prompt.some((message) => message.role === 'assistant')) loop.isMixed = true;
      await begin(loop, session, isInline ? undefined : checkpoint(prompt, loop.isMixed));
    }
    opening = use(session.open!);
    opening.catch(() => undefined);
  });
  return opening!;
}

/** In the turn that is open; in one of its own for a tool that runs before any model call, as approved ones do. */
export async function inCurrentTurn({ session }: Place, use: Use): Promise<OpenCall> {
  const loop = loopOf(session);
  for (;;) {
    const { step } = loop;
    if (step) await step.catch(() => undefined);
    if (loop.step !== step) continue;
    if (session.open) return use(session.open);
    await chain(loop, async () => {
      if (!session.open) await begin(loop, session, undefined);
    });
  }
}

export function noteReply(session: Session): void {
  loopOf(session).hasReplied = true;
}

async function begin(loop: Loop, session: Session, state: unknown): Promise<void> {
  ours.add(await session.beginTurn(state));
  loop.hasBegun = true;
}

function loopOf(session: Session): Loop {
  let loop = loops.get(session);
  if (!loop) {
    loop = { step: undefined, hasBegun: false, hasReplied: false, isMixed: false };
    loops.set(session, loop);
  }
  return loop;
}

function chain(loop: Loop, body: () => Promise<void>): Promise<void> {
  const step = loop.step ? loop.step.then(body, body) : body();
  loop.step = step;
  return step;
}
