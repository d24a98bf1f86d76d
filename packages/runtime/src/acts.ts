// acts.ts: what people do to one session: stop it, let it go on, say what became of a call of it.

import { isEngaged } from '@offswitch/core';
import { RuntimeError } from './error.ts';
import type { Graph, Member } from './graph.ts';
import { mintId } from './id.ts';
import { hasEnded } from './lineage-store.ts';
import type { Receipt } from './receipt.ts';
import { releaseByAct } from './release.ts';
import { subjectKey } from './stop-key.ts';
import { type SessionView, viewOf } from './view.ts';
import type { World } from './world.ts';

export interface StopOrder {
  readonly session: string;
  readonly reason: string;
  readonly by: string;
  /** Default `terminate`. */
  readonly action?: 'terminate' | 'pause';
}

/** Stops one session with what it started; the same order again is the same stop. Resolves when nothing new starts. */
export async function stopSession(world: World, order: StopOrder): Promise<Receipt> {
  if (typeof order.reason !== 'string' || order.reason.trim() === '')
    throw new RuntimeError('invalid_option', 'a stop needs a reason: it is shown to everybody who looks');
  if (typeof order.by !== 'string' || order.by === '')
    throw new RuntimeError('invalid_option', 'a stop needs to say who asks (by)');
  // In the same step where it is here: what runs must not get on meanwhile.
  const member = world.graphOf.get(order.session)?.get(order.session);
  const ended = member ? member.saved.settled?.status : await endElsewhere(world, order.session);
  if (world.isClosed) throw new RuntimeError('closed', 'this runtime was closed');
  if (ended !== undefined) throw new RuntimeError('session_ended', `session ${order.session} has ended already (${ended})`);
  const action = order.action ?? 'terminate';
  const again = world.kernel.stops
    .actsAgainst(subjectKey(order.session))
    .find((entry) => entry.key.kind === 'act' && entry.key.cause === 'operator' && entry.key.action === action);
  const { entry } = again
    ? { entry: again }
    : world.kernel.stops.act(
        { kind: 'act', cause: 'operator', action, tier: 'instance', subject: subjectKey(order.session), id: mintId('o') },
        { reason: order.reason, by: order.by, at: world.clock.now(), subject: order.session },
      );
  world.reconsider();
  return world.stopping.reached(entry, 'fenced');
}

/** How a session of another process ended, if it has; one that has not is stopped by the latch, which reaches it there. */
async function endElsewhere(world: World, session: string): Promise<string | undefined> {
  const { lineage } = world.store;
  const known = lineage.registersAll ? await lineage.locate(session) : undefined;
  if (!known) throw unknown(session);
  return hasEnded(known.state) ? known.state : undefined;
}

/** Releases what operators and breakers hold this very session by. */
export async function resumeSession(
  world: World,
  session: string,
  by: { readonly by: string; readonly reason: string } | undefined,
): Promise<SessionView> {
  const { graph, member } = find(world, session);
  if (member.saved.settled)
    throw new RuntimeError(
      'session_ended',
      `session ${session} has ended (${member.saved.settled.status}); going on is a new run`,
    );
  if (world.decide(member.node).action === 'terminate')
    throw new RuntimeError('session_ended', `session ${session} is terminated; going on is a new run`);
  if (!world.definitions.has(graph.root.saved.record.agent)) {
    throw new RuntimeError(
      'agent_not_registered',
      `the agent ${JSON.stringify(graph.root.saved.record.agent)} is not defined in this process, so ${session} cannot go on here`,
    );
  }
  const pauses = world.kernel.stops
    .actsAgainst(member.node.key)
    .filter((entry) => entry.key.kind === 'act' && entry.key.action === 'pause');
  // Another resume may have released some of them while this one waited.
  for (const entry of pauses)
    if (isEngaged(entry.marks))
      await releaseByAct(world, { stop: entry.name, by: by?.by ?? 'runtime', reason: by?.reason ?? 'resumed' });
  world.audit.resumed(session, by?.by ?? 'runtime', by?.reason ?? 'resumed');
  world.reconsider();
  return viewOf(world, graph, member);
}

/** Takes a person's word on a call of unknown outcome; the first stands. */
export async function resolveCall(
  world: World,
  session: string,
  call: string,
  verdict: 'happened' | 'did-not',
  resolveOptions: { readonly value?: unknown; readonly by?: string; readonly reason?: string },
): Promise<void> {
  if (verdict !== 'happened' && verdict !== 'did-not') throw new RuntimeError('invalid_option', 'say "happened" or "did-not"');
  const { graph, member } = find(world, session);
  const view = viewOf(world, graph, member);
  if (!view.unknownCalls.some((one) => one.id === call)) {
    const known = view.unknownCalls.map((one) => one.id).join(', ') || 'none';
    throw new RuntimeError(
      'unknown_call',
      `no call ${JSON.stringify(String(call).slice(0, 40))} of ${session} waits for a person; those that do: ${known}`,
    );
  }
  const resolution = {
    session,
    call,
    verdict,
    by: resolveOptions.by ?? 'runtime',
    ...(resolveOptions.reason === undefined ? {} : { reason: resolveOptions.reason }),
    at: world.clock.now(),
    ...(resolveOptions.value === undefined ? {} : { value: resolveOptions.value }),
  };
  if (!(await world.store.resolve(resolution)))
    throw new RuntimeError('unknown_call', `${call} of ${session} was settled before; the first word stands`);
  world.audit.resolved(resolution);
  world.learnResolutions([resolution]);
  world.reconsider();
}

function find(world: World, id: string): { readonly graph: Graph; readonly member: Member } {
  const graph = world.graphOf.get(id);
  const member = graph?.get(id);
  if (!graph || !member) throw unknown(id);
  return { graph, member };
}

function unknown(id: string): RuntimeError {
  return new RuntimeError(
    'unknown_session',
    `no session ${JSON.stringify(String(id).slice(0, 80))} is known here; see: offswitch sessions`,
  );
}
