// enter.ts: the way of one call through the gate: replay, guard, breakers, limiter, budget, durable intent, guard again,
// invoke. The last two are one synchronous block, so that nothing comes between the check and the act (I1).

import { type Call, never } from './call.ts';
import { RuntimeError } from './error.ts';
import type { SavedCall } from './saved.ts';
import { snapshot } from './snapshot.ts';
import { startCall } from './telemetry.ts';
import type { Usage } from './turn.ts';

export interface EnterOptions {
  readonly maxCostMicros?: number | undefined;
  readonly isModel?: boolean;
  readonly probe?: ((idempotencyKey: string) => Promise<'happened' | 'did-not'>) | undefined;
  /** The caller runs the body itself: stop after the second guard. */
  readonly isOpen?: boolean;
}

/** Takes a call through the gate and runs it. The promise never settles for an agent that may not go on. */
export function enter<R>(
  call: Call,
  options: EnterOptions,
  body: () => Promise<R> | R,
  usageOf?: (reply: R) => Usage | undefined,
): Promise<R> {
  const { session, turn } = call;
  const { engine } = session;
  session.track(call);
  const isPlain =
    turn.replay === undefined &&
    options.isModel !== true &&
    options.isOpen !== true &&
    options.maxCostMicros === undefined &&
    (call.class !== 'effect' || engine.store.volatile === true) &&
    session.limiter === undefined;
  if (!isPlain) return enterSlowly(call, options, body, usageOf);
  const decision = engine.decide(session.node);
  // After the guard, which looks whether the store was lost.
  if (engine.holdsCalls || session.hasRested) return enterSlowly(call, options, body, usageOf);
  if (decision.action === 'terminate') {
    engine.terminate(session, decision);
    return never();
  }
  if (!session.charge(call)) return enterSlowly(call, options, body, usageOf, true);
  // Made in this very moment.
  if (!session.intend(call, call.startedAt)) return enterSlowly(call, options, body, usageOf, true);
  return session.invoke(call, body, usageOf);
}

async function enterSlowly<R>(
  call: Call,
  options: EnterOptions,
  body: () => Promise<R> | R,
  usageOf: ((reply: R) => Usage | undefined) | undefined,
  isCharged = false,
): Promise<R> {
  const { session, turn } = call;
  const { engine } = session;
  if (options.isModel && ++turn.modelCalls > 1) {
    // A second model call without a turn is a turn: the boundary is here (S9). One that the journal has was counted before.
    if (!turn.replay?.has(call.key)) {
      call.isCharged = true;
      session.chargeTurn();
    }
    await session.pass(call);
  }
  const before = turn.replay?.get(call.key);
  if (before) {
    turn.replay!.delete(call.key);
    const answer = await fromJournal(call, before, options);
    if (answer === 'failed') throw session.mayGoOn() ? replayedError(call) : await never<Error>();
    if (answer === 'answered') return session.mayGoOn() ? (snapshot(call.name, call.value) as R) : never();
  } else if (call.class === 'effect' && turn.hasUnmatchedEffect(call.name)) {
    await session.waitForPerson(
      call,
      `${call.name} was called before the interruption with other arguments (${turn.unmatchedIds(call.name)}); it is not known whether this is the same act`,
    );
    const said = engine.resolution(session.id, call.id);
    if (said?.verdict === 'happened') {
      // The word is about this act: it is not made again.
      session.intend(call);
      settleByWord(call, said.value);
      return session.mayGoOn() ? (snapshot(call.name, call.value) as R) : never();
    }
  }
  if (!isCharged) session.charge(call);
  const reserve = options.maxCostMicros ?? (options.isModel ? session.graph.budget.dearest : 0);
  if (!(Number.isSafeInteger(reserve) && reserve >= 0)) {
    const why = `${call.name}: maxCostMicros must be a non-negative integer, got ${String(reserve)}`;
    const error = new RuntimeError('invalid_option', why);
    // The turn must not wait for a call that is never made.
    session.failCall(call, error);
    throw error;
  }
  let isFlushed = call.class !== 'effect' || engine.store.volatile === true;
  let isIntended = false;
  let isPaced = false;
  for (;;) {
    await session.passCall(call);
    // One token per call, however often it has to look again.
    const wait = isPaced ? 0 : (session.limiter?.take() ?? 0);
    isPaced = true;
    if (wait > 0) {
      await session.sleep(wait);
      continue;
    }
    if (call.reservedMicros === 0 && reserve > 0 && !(await reserved(call, reserve))) {
      if (session.isOver) return never();
      // A cap that is reached holds us at the top; whatever else it was is looked at again in a while.
      if (engine.mustHold(session.node)) continue;
      engine.reconsiderLater();
      await session.hold(call);
      continue;
    }
    // What it may cost is written down for good before it is sent: whoever counts after us counts it (I8).
    if (call.credit !== undefined && !isIntended) isFlushed = engine.store.volatile === true;
    if (!isIntended) isIntended = session.intend(call);
    if (isIntended && !isFlushed) isFlushed = await flushed(call);
    if (!session.isOver && !(isIntended && isFlushed)) {
      // The store refused it: the call rests, and is tried again when the store has had time.
      engine.reconsiderLater();
      await session.hold(call);
      continue;
    }
    const decision = engine.decide(session.node);
    if (isIntended && isFlushed && !session.isOver && decision.action !== 'terminate' && !mustHold(call)) break;
    if (decision.action === 'terminate' || session.isOver) {
      if (decision.action === 'terminate') engine.terminate(session, decision);
      return never();
    }
  }
  if (options.isOpen) {
    call.isSent = true;
    call.span = startCall(call);
    return undefined as R;
  }
  return session.invoke(call, body, usageOf);
}

/** A cap that another call has reached holds those that have no reserve yet. */
function mustHold({ session, reservedMicros }: Call): boolean {
  const { engine } = session;
  if (session.staysAtRest()) return true;
  return reservedMicros > 0 ? engine.mustHoldReserved(session.node) : engine.mustHold(session.node);
}

async function reserved(call: Call, micros: number): Promise<boolean> {
  const { engine } = call.session;
  try {
    return await engine.reserve(call, micros);
  } catch (error) {
    engine.alarm(`what ${call.id} (${call.name}) may cost could not be reserved, so it is not sent: ${String(error)}`);
    return false;
  }
}

async function flushed(call: Call): Promise<boolean> {
  const { engine } = call.session;
  try {
    await engine.store.flush();
    return true;
  } catch (error) {
    engine.alarm(`the intent of ${call.id} (${call.name}) could not be made durable, so it is not sent: ${String(error)}`);
    return false;
  }
}

/** Answers from the journal what has an end there, asks for what may have happened, lets pass what may be repeated. */
async function fromJournal(call: Call, before: SavedCall, options: EnterOptions): Promise<'answered' | 'failed' | 'again'> {
  const { session } = call;
  const { engine } = session;
  call.savedId = before.id;
  // An effect that came back after the stop happened: its recorded result is the answer.
  if (before.outcome === 'completed' || (before.outcome === 'late' && before.class === 'effect' && before.error === undefined)) {
    session.answer(call, 'completed', before.value);
    return 'answered';
  }
  if (before.outcome === 'failed' || (before.outcome === 'late' && before.error !== undefined)) {
    call.error = before.error;
    session.answer(call, 'failed', undefined);
    return 'failed';
  }
  if (before.class !== 'effect') {
    call.inheritsChild = before.inheritsChild;
    call.isKnown = before.outcome !== 'not-sent';
    return 'again';
  }
  if (before.outcome === 'not-sent') {
    call.savedId = undefined;
    return 'again';
  }
  for (;;) {
    const said = engine.resolution(session.id, before.id) ?? (await probed(call, options));
    if (said?.verdict === 'happened') {
      settleByWord(call, said.value);
      return 'answered';
    }
    if (said?.verdict === 'did-not') {
      session.write({ t: 'end', turn: call.turn.number, key: call.key, outcome: 'not-sent' });
      call.savedId = undefined;
      return 'again';
    }
    await session.waitForPerson(
      call,
      `the outcome of ${call.name} is unknown: its process or its run ended while it was under way`,
    );
  }
}

/** A person or a probe said that it happened: recorded, and answered with what they said it came to. */
function settleByWord(call: Call, value: unknown): void {
  const { session } = call;
  session.write({
    t: 'end',
    turn: call.turn.number,
    key: call.key,
    outcome: 'completed',
    ...(value === undefined ? {} : { value }),
  });
  session.answer(call, 'completed', value);
}

/** A probe that has not answered by then has not answered. Milliseconds. */
const probeTimeoutMs = 10_000;

async function probed(
  call: Call,
  options: EnterOptions,
): Promise<{ readonly verdict: 'happened' | 'did-not'; readonly value?: unknown } | undefined> {
  const { probe } = options;
  if (!probe) return undefined;
  const { clock } = call.session.engine;
  let timer: unknown;
  const late = new Promise<never>((_, reject) => {
    timer = clock.setTimeout(() => reject(new Error(`no answer within ${probeTimeoutMs} ms`)), probeTimeoutMs);
  });
  try {
    const verdict = await Promise.race([probe(call.idempotencyKey), late]);
    return verdict === 'happened' || verdict === 'did-not' ? { verdict } : undefined;
  } catch (error) {
    call.session.engine.alarm(`the probe of ${call.name} failed, so a person must say: ${String(error)}`);
    return undefined;
  } finally {
    clock.clearTimeout(timer);
  }
}

function replayedError(call: Call): Error {
  return new Error(call.error ?? `${call.name} failed before the interruption`);
}
